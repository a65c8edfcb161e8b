import hashlib
import json

import pytest
import torch

from conftest import make_text
from h2q import evolution
from h2q.config import CHECKPOINT_DIR, EVOLUTION_STATS, MODEL_PATH, EvolutionConfig, TrainingConfig
from h2q.corpus import open_corpus
from h2q.errors import Interrupted, ModelFileError, TrainingDiverged, UnusableInput
from h2q.evaluation import PairedDifference, evaluate
from h2q.evolution import SelfEvolutionEngine, read_stats
from h2q.knowledge import load_knowledge_base
from h2q.model_file import load_model
from h2q.trainer import LocalModelTrainer

TRAINING = TrainingConfig(epochs=2, lr=2e-3)


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


@pytest.fixture
def output(corpus, tmp_path, tiny_model_config):
    """An output directory with a model that still has much to learn."""
    LocalModelTrainer(corpus, tmp_path / "out", tiny_model_config, TRAINING).train()
    return tmp_path / "out"


def knowledge(tmp_path, texts):
    directory = tmp_path / "kb"
    directory.mkdir(exist_ok=True)
    (directory / "passages.txt").write_text("\n\n".join(texts), encoding="utf-8")
    return load_knowledge_base(directory)


@pytest.fixture
def helpful(tmp_path):
    """More text of the kind that is held out."""
    return knowledge(tmp_path, [make_text(500, seed) for seed in range(100, 160)])


@pytest.fixture
def harmful(tmp_path):
    """Letters in an order that the held-out text never has."""
    return knowledge(tmp_path, ["zqxj" * 60 + str(number) for number in range(200)])


def engine(corpus, knowledge, output, cycles=1, training=TRAINING, **changes):
    config = EvolutionConfig(cycles=cycles, generated_bytes=20_000, **changes)
    return SelfEvolutionEngine(corpus, knowledge, output, config, training)


def model_hash(output):
    return hashlib.sha256((output / MODEL_PATH).read_bytes()).hexdigest()


def test_helpful_knowledge_is_kept_and_measured(corpus, helpful, output):
    before, _ = load_model(output / MODEL_PATH)
    stats = engine(corpus, helpful, output, cycles=2, lr_factor=1.0).evolve()
    assert stats == json.loads((output / EVOLUTION_STATS).read_text(encoding="utf-8"))
    assert stats["total_evolutions"] == len(stats["history"]) == 2
    assert stats["successful_evolutions"] >= 1
    after, provenance = load_model(output / MODEL_PATH)

    losses = [evaluate(m, corpus.heldout, limit_bytes=10**6).loss for m in (before, after)]
    realised = sum(entry["improvement"] for entry in stats["history"])
    assert losses[0] - losses[1] == pytest.approx(realised, rel=1e-4)
    assert stats["average_improvement"] == pytest.approx(realised / 2)
    assert provenance["evolution_cycle"] in (1, 2)


def test_harmful_knowledge_is_rejected_and_the_model_untouched(corpus, harmful, output):
    before = model_hash(output)
    training = TrainingConfig(epochs=2, lr=2e-2)
    stats = engine(corpus, harmful, output, training=training, replay_fraction=0.0).evolve()
    assert model_hash(output) == before
    assert (stats["successful_evolutions"], stats["failed_evolutions"]) == (0, 1)
    assert stats["average_improvement"] == 0.0
    assert stats["history"][0]["eval_loss_after"] > stats["history"][0]["eval_loss_before"]


def test_without_a_gate_the_harm_would_be_kept(corpus, harmful, output, monkeypatch):
    """The test above has power: with a gate that lets all pass the model changes."""
    before = model_hash(output)
    always = PairedDifference(-1.0, -1.0, -1.0)
    monkeypatch.setattr(evolution, "paired_difference", lambda *_: always)
    engine(corpus, harmful, output).evolve()
    assert model_hash(output) != before


def test_a_crashed_cycle_counts_as_failed(corpus, helpful, output, monkeypatch):
    before = model_hash(output)

    def diverge(self):
        raise TrainingDiverged("train.diverged", step=3)

    monkeypatch.setattr(LocalModelTrainer, "train", diverge)
    stats = engine(corpus, helpful, output).evolve()
    assert stats["failed_evolutions"] == 1
    assert "第 3 步" in stats["history"][0]["reason"]
    assert model_hash(output) == before


def test_nan_challenger_is_rejected(corpus, helpful, output, monkeypatch):
    before = model_hash(output)
    train = LocalModelTrainer.train

    def poison(self):
        model = train(self)
        with torch.no_grad():
            model.output.bias.fill_(torch.nan)
        return model

    monkeypatch.setattr(LocalModelTrainer, "train", poison)
    stats = engine(corpus, helpful, output).evolve()
    assert stats["failed_evolutions"] == 1
    assert model_hash(output) == before


def test_statistics_go_on_from_call_to_call(corpus, helpful, output):
    engine(corpus, helpful, output).evolve()
    engine(corpus, helpful, output).evolve()
    stats = read_stats(output)
    assert [entry["cycle"] for entry in stats["history"]] == [1, 2]
    total = stats["successful_evolutions"] + stats["failed_evolutions"]
    assert stats["total_evolutions"] == total == 2


def test_generated_text_lies_apart_and_is_recorded(corpus, helpful, output, text_dir):
    before = sorted(text_dir.iterdir())
    engine(corpus, helpful, output).evolve()
    assert sorted(text_dir.iterdir()) == before
    directory = output / CHECKPOINT_DIR / "evolution" / "cycle_0001" / "text"
    records = (directory / "generated.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["source"] == "passages.txt" for line in records)
    assert (directory / "replay.txt").stat().st_size > 10_000


def test_held_out_text_is_never_generated(corpus, output, tmp_path):
    """A passage that stands in the held-out text is left out of the challenger's text."""
    heldout = corpus.heldout.read(0, 400).decode("utf-8", "ignore").split("\n")[1]
    base = knowledge(tmp_path, [heldout, *(make_text(300, seed) for seed in range(200, 220))])
    engine(corpus, base, output).evolve()
    directory = output / CHECKPOINT_DIR / "evolution" / "cycle_0001" / "text"
    assert heldout not in (directory / "generated.txt").read_text(encoding="utf-8").split("\n\n")


@pytest.mark.parametrize("same", [True, False])
def test_a_model_of_other_text_is_warned_about(
    corpus, helpful, output, text_dir, tmp_path, same, capsys
):
    """What the champion was trained on may be what it would be measured on."""
    if not same:
        heldout = text_dir / "0.txt"
        corpus = open_corpus(text_dir, tmp_path / "c", context_length=64, eval_path=heldout)
    engine(corpus, helpful, output).evolve()
    assert ("--eval_dir" in capsys.readouterr().err) is not same


def test_without_a_model_there_is_nothing_to_evolve(corpus, helpful, tmp_path):
    with pytest.raises(ModelFileError, match="找不到模型"):
        engine(corpus, helpful, tmp_path / "empty").evolve()


def test_damaged_statistics_are_refused_not_overwritten(corpus, helpful, output):
    (output / EVOLUTION_STATS).write_text('{"total_evolutions": "many"}')
    with pytest.raises(UnusableInput, match=EVOLUTION_STATS):
        engine(corpus, helpful, output)
    assert (output / EVOLUTION_STATS).read_text() == '{"total_evolutions": "many"}'


def test_an_interrupted_cycle_does_not_count(corpus, helpful, output, monkeypatch):
    before = model_hash(output)

    def interrupt(self):
        raise Interrupted("train.interrupted", step=1, path="x")

    monkeypatch.setattr(LocalModelTrainer, "train", interrupt)
    with pytest.raises(Interrupted):
        engine(corpus, helpful, output).evolve()
    assert read_stats(output)["total_evolutions"] == 0
    assert model_hash(output) == before
