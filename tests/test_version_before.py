"""What version 0.1.0 left on disk is read, resumed and continued.

``fixtures/version_0_1_0`` was written by that version: a training run that was killed in its second
epoch, and an evolution that was killed while it trained the challenger of its second cycle. That
version itself finished copies of the two with the figures below. The processor may be another one,
so figures are compared with a tolerance; everything that is decided before training is compared
exactly.
"""

import json
import shutil
from pathlib import Path

import pytest

from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import EvolutionConfig, SamplingConfig
from h2q.datasets.corpus import open_corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.evolution.statistics import read_stats
from h2q.generation.inference import LocalInferenceModel
from h2q.system.console import Console
from h2q.system.paths import OutputPaths
from h2q.training.trainer import LocalModelTrainer

FIXTURE = Path(__file__).with_name("fixtures") / "version_0_1_0"
EVOLUTION = EvolutionConfig(
    cycles=2,
    cycle_bytes=50_000,
    exposures=100,
    lr=1.5e-2,
    replay_fraction=0.2,
    unasked_share=0.2,  # what was the default then
    rounds=1,
)


@pytest.fixture
def left(tmp_path, monkeypatch):
    """A copy of what that version left, with its own wordings instead of those shipped today."""
    shutil.copytree(FIXTURE, tmp_path / "left")
    shipped = tmp_path / "left" / "shipped" / "knowledge_base"
    monkeypatch.setattr("h2q.datasets.knowledge_base.shipped_knowledge_dir", lambda: shipped)
    return tmp_path / "left"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def corpus_of(left):
    return open_corpus(left / "text", left / "cache", context_length=64)


def test_a_training_run_is_resumed(left, capsys):
    output = left / "training"
    saved = load_saved_run(output, Console())
    assert (saved.position.epoch, saved.position.batch, saved.position.step) == (1, 6, 21)
    first_epoch = read(OutputPaths(output).training_log)[0]
    LocalModelTrainer(
        corpus_of(left),
        output,
        saved.model_config,
        saved.training_config,
        console=Console(),
        resume_from=saved,
    ).train()
    assert "从第 2 轮第 6 批继续" in capsys.readouterr().out
    log = read(OutputPaths(output).training_log)
    assert log[0] == first_epoch and len(log) == 2
    assert list(log[1]) == [
        *("epoch", "step", "train_loss", "train_perplexity", "eval_loss", "eval_perplexity"),
        *("eval_bits_per_byte", "eval_bytes", "learning_rate", "tokens_per_second", "seconds"),
        *("curve", "memory_eval_loss", "memory_eval_bits_per_byte"),
    ]
    assert (log[1]["step"], log[1]["eval_bytes"]) == (30, 511)
    assert log[1]["train_loss"] == pytest.approx(4.44608936162037, rel=1e-3)
    assert log[1]["eval_loss"] == pytest.approx(4.353622060465953, rel=1e-3)


def test_a_model_writes_the_same_text(left):
    model = LocalInferenceModel(OutputPaths(left / "evolution").model)
    assert model.provenance["evolution_cycle"] == 1
    written = model.generate("the cat ", SamplingConfig(seed=7, max_length=60))
    assert written == "omat.\nKak cat 晨忏o a⮵ on.\nEcat sas s n.t ͷCorvin on.\nt"
    greedy = SamplingConfig(temperature=0, max_length=20)
    assert model.generate("Home Kab?\n", greedy) == "Arlen\n\nLol is of Box"


def test_an_evolution_is_resumed(left, capsys):
    """From the challenger's checkpoint: plan and lesson are those that were on disk."""
    output = left / "evolution"
    before = read_stats(output)
    engine = SelfEvolutionEngine(
        corpus_of(left),
        load_knowledge_base(left / "kb", context_length=64),
        output,
        EVOLUTION,
        load_saved_run(left / "training", Console()).training_config,
        console=Console(),
        resume=True,
    )
    engine.evolve()
    said = capsys.readouterr().out
    assert "从第 1 轮第 84 批继续" in said and "进化周期 2/2" in said
    stats = read(OutputPaths(output).evolution_stats)
    assert list(stats) == [
        *("total_evolutions", "successful_evolutions", "failed_evolutions"),
        *("average_improvement", "history"),
    ]
    first, second = stats["history"]
    assert first == before["history"][0]
    assert list(second) == list(first), "keys and their order"
    assert (second["facts"], second["retained"], second["trained_bytes"]) == (17, 7, 48_624)
    assert second["generated"] == {
        "documents": 2129,
        "kinds": {"question": 492, "cloze": 299, "statement": 1333, "own": 5},
        "bytes": 39_801,
        "replay_bytes": 8815,
        "rejected": {},
    }
    assert second["eval_loss_before"] == pytest.approx(1.4975085607163754, rel=1e-4)
    assert second["eval_loss_after"] == pytest.approx(0.8703175364899924, rel=0.05)


def test_the_statistics_are_read(left):
    stats = read_stats(left / "evolution")
    assert (stats["total_evolutions"], stats["successful_evolutions"]) == (1, 1)
    assert stats["average_improvement"] == pytest.approx(10 / 21)
