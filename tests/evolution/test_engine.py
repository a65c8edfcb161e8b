import copy
import hashlib
import json
import random
import re
import shutil
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from h2q.checkpoint.model_file import load_model, save_model
from h2q.datasets.corpus import open_corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.evaluation.held_out import evaluate
from h2q.evolution import challenger, cycle, gate
from h2q.evolution.comparison import Comparison
from h2q.evolution.engine import SelfEvolutionEngine, read_stats
from h2q.evolution.examiner import Examiner, ask
from h2q.evolution.records import Memory, rejections_in_a_row
from h2q.system.console import Console
from h2q.system.errors import Interrupted, ModelFileError, SaveFailed, SettingError, UnusableInput
from h2q.system.files import write_json
from h2q.system.paths import CHECKPOINT_DIR, EVOLUTION_STATS, MODEL_PATH
from h2q.training.trainer import LocalModelTrainer
from tests.conftest import REPOSITORY, run_file
from tests.evolution import evolution_driver as driver

DRIVER = Path(__file__).with_name("evolution_driver.py")
EVOLUTION = f"{CHECKPOINT_DIR}/evolution"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Text, knowledge base and a model that still has much to learn."""
    path = tmp_path_factory.mktemp("base") / "out"
    driver.prepare(path)
    return path


@pytest.fixture
def output(base, tmp_path):
    return shutil.copytree(base, tmp_path / "out")


@pytest.fixture(scope="module")
def evolved(base, tmp_path_factory):
    """The same after two cycles that nothing disturbed, in a process of their own."""
    path = shutil.copytree(base, tmp_path_factory.mktemp("evolved") / "out")
    run(path)
    return path


@pytest.fixture
def training_only(monkeypatch):
    """Training that is over at once and changes nothing, for what does not depend on it."""
    monkeypatch.setattr(LocalModelTrainer, "train", lambda self: self.model.eval())


def run(output, *arguments, killed=False):
    done = run_file(DRIVER, output, *arguments, cwd=REPOSITORY)
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr


def model_hash(output):
    return hashlib.sha256((output / MODEL_PATH).read_bytes()).hexdigest()


def history(output):
    return read_stats(output)["history"]


def test_what_was_not_known_is_learnt_and_measured(base, evolved):
    """The reported improvement is that of the two files, on wordings of the vault."""
    first = history(evolved)[0]
    assert first["promoted"] and first["primary"] == "facts"
    assert first["improvement"] == first["vault_match_after"] - first["vault_match_before"] > 0.1
    assert first["difference"]["high"] < 0
    assert model_hash(base) != model_hash(evolved)
    _, provenance = load_model(evolved / MODEL_PATH)
    assert provenance["evolution_cycle"] in (1, 2)
    stats = read_stats(evolved)
    total = stats["successful_evolutions"] + stats["failed_evolutions"]
    assert stats["total_evolutions"] == total == 2
    realised = [entry["improvement"] for entry in stats["history"]]
    assert stats["average_improvement"] == pytest.approx(sum(realised) / 2)


def test_prose_is_no_worse_than_the_tolerance(base, evolved):
    losses = [
        evaluate(
            load_model(path / MODEL_PATH)[0], driver.open_text(path).heldout, limit_bytes=10**6
        )
        for path in (base, evolved)
    ]
    assert losses[1].bits_per_byte <= losses[0].bits_per_byte + 0.03


def test_killed_at_any_point_it_ends_as_if_it_had_not_been(base, evolved, tmp_path):
    """kill -9 after the plan, twice in training, after the challenger, after the promotion, after
    what is remembered, and in the second cycle: the same champion and the same statistics."""
    output = shutil.copytree(base, tmp_path / "out")
    run(output, "--kill", f"{EVOLUTION}/cycle_0001/plan.json", killed=True)
    run(output, "--resume", "--kill", "step:9", killed=True)
    run(output, "--resume", "--kill", f"{EVOLUTION}/cycle_0001/challenger.json", killed=True)
    assert model_hash(output) == model_hash(base)
    run(output, "--resume", "--kill", "promoted", killed=True)
    assert model_hash(output) != model_hash(base)
    assert not history(output)
    run(output, "--resume", "--kill", f"{EVOLUTION}/champions.json", killed=True)
    run(output, "--resume", "--kill", f"{EVOLUTION}/cycle_0002/verdict.json", killed=True)
    run(output, "--resume")
    assert read_stats(output) == read_stats(evolved)
    assert model_hash(output) == model_hash(evolved)


def test_prose_is_learnt_in_one_course_also_when_killed(base, tmp_path):
    """The second cycle goes on from where the first stopped, at the rate at which it did."""
    whole, killed = (shutil.copytree(base, tmp_path / name / "out") for name in ("a", "b"))
    run(whole, "--prose")
    run(killed, "--prose", "--kill", "promoted", killed=True)  # what the first cycle left
    assert not history(killed)
    run(killed, "--prose", "--resume", "--kill", f"{EVOLUTION}/cycle_0002/lesson.json", killed=True)
    run(killed, "--prose", "--resume")
    assert read_stats(killed) == read_stats(whole)
    trunks = [load_model(path / EVOLUTION / "trunk.pt") for path in (whole, killed)]
    assert [provenance["evolution_cycle"] for _, provenance in trunks] == [2, 2]
    states = [model.state_dict() for model, _ in trunks]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert model_hash(killed) == model_hash(whole)


def test_the_rate_of_a_course_falls_once_and_what_it_left_is_taken_up(output, monkeypatch):
    made = []

    def train(champion, start, directory, dev, recipe, cost, console):
        made.append((recipe, start.output.bias[7].item()))
        trained = copy.deepcopy(start)
        with torch.no_grad():
            trained.output.bias[7] += 1
        return champion, trained, {"choice": "last", "dev_costs": {"last": cost(champion)}}

    monkeypatch.setattr(cycle, "train_challenger", train)
    monkeypatch.setattr(
        Comparison, "judge", lambda *_: {"entry": {"promoted": False, "improvement": 0.0}}
    )
    driver.engine(output, cycles=5, prose=True).evolve()
    first = made[0][1]
    assert [bias - first for _, bias in made] == pytest.approx([0, 1, 2, 0, 1])
    lr = driver.CONFIG.lr
    ends = [(recipe.lr, recipe.lr * recipe.min_lr_ratio) for recipe, _ in made]
    assert ends[:3] == [pytest.approx(pair) for pair in pairwise([lr, lr * 2 / 3, lr / 3, 0])]
    assert ends[3:] == [pytest.approx(pair) for pair in pairwise([lr / 2, lr / 4, 0])]  # halved
    assert {recipe.weight_decay for recipe, _ in made} == {driver.TRAINING.weight_decay}


def interrupt(*_):
    raise Interrupted("train.interrupted", step=1, path="x")


def test_the_champion_teaches_what_is_replayed_and_nothing_else(output, monkeypatch):
    seen = {}

    class Watched(LocalModelTrainer):
        def __init__(self, corpus, *others, **options):
            super().__init__(corpus, *others, **options)
            seen.update(options, train=corpus.train)

        train = interrupt

    monkeypatch.setattr(challenger, "LocalModelTrainer", Watched)
    with pytest.raises(Interrupted):
        driver.engine(output).evolve()
    lesson = output / EVOLUTION / "cycle_0001" / "text"
    generated, replayed = ((lesson / f"{n}.txt").read_bytes() for n in ("generated", "replayed"))
    assert seen["train"].read(0, len(generated)) == generated
    assert seen["train"].read(seen["replay_from"], len(replayed)) == replayed
    champion = load_model(output / MODEL_PATH)[0].state_dict()
    assert not seen["teacher"].training
    assert all(torch.equal(w, champion[n]) for n, w in seen["teacher"].state_dict().items())


def test_an_evolution_of_other_settings_is_not_resumed(output, monkeypatch):
    monkeypatch.setattr(cycle.Cycle, "write", interrupt)
    with pytest.raises(Interrupted):
        driver.engine(output).evolve()
    with pytest.raises(SettingError, match="--resume"):
        driver.engine(output, resume=True, exposures=61)
    driver.engine(output, resume=True)


def test_generated_text_lies_apart_and_is_recorded(base, evolved):
    directory = evolved / EVOLUTION / "cycle_0001"
    records = [
        json.loads(line)
        for line in (directory / "generated.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    names = {fact.id for fact in driver.open_knowledge(evolved).facts()}
    assert {record["cycle"] for record in records} == {1}
    assert all(set(record["source"].split()) <= names for record in records)
    assert (evolved / "text" / "t.txt").read_bytes() == (base / "text" / "t.txt").read_bytes()
    assert not (directory / "text").exists()


def shuffled_objects(write):
    """Lessons in which everybody has the object of somebody else."""

    def write_wrong(exposures, *rest):
        facts = [fact for fact, _ in exposures]
        others = {fact.object for fact in facts}
        wrong = {
            name: sorted(others)[(sorted(others).index(name) + 1) % len(others)] for name in others
        }
        return write([(replace(f, object=wrong[f.object]), n) for f, n in exposures], *rest)

    return write_wrong


def test_shuffled_objects_are_not_promoted(evolved, tmp_path, monkeypatch):
    """Experiment C. The model already speaks in the form of answers: only being right counts."""
    output = shutil.copytree(evolved, tmp_path / "out")
    before = model_hash(output)
    monkeypatch.setattr(cycle, "write_about", shuffled_objects(cycle.write_about))
    stats = driver.engine(output, cycles=1).evolve()
    assert not stats["history"][-1]["promoted"]
    assert model_hash(output) == before


def test_without_the_gate_the_harm_would_be_kept(evolved, tmp_path, monkeypatch):
    """The test above has power."""
    output = shutil.copytree(evolved, tmp_path / "out")
    before = model_hash(output)
    monkeypatch.setattr(cycle, "write_about", shuffled_objects(cycle.write_about))
    monkeypatch.setattr(gate, "judge", lambda *_: gate.Verdict(True, "gate.better"))
    driver.engine(output, cycles=1).evolve()
    assert model_hash(output) != before


def test_a_rate_thirty_times_too_high_is_not_promoted(evolved, tmp_path):
    output = shutil.copytree(evolved, tmp_path / "out")
    before = model_hash(output)
    stats = driver.engine(output, cycles=1, lr=30 * driver.CONFIG.lr).evolve()
    assert not stats["history"][-1]["promoted"]
    assert model_hash(output) == before


def test_a_leak_would_be_noticed(output, training_only, monkeypatch):
    """A challenger that answers what nobody can know is not promoted."""
    monkeypatch.setattr(Examiner, "chance", lambda *_: 0.01)
    real = Examiner.facts

    def knows_all(self, model, facts, split):
        scores = real(self, model, facts, split)
        scores.correct[:] = True
        return scores

    monkeypatch.setattr(Examiner, "facts", knows_all)
    monkeypatch.setattr(cycle, "_SAME_LOSS", 1e9)
    stats = driver.engine(output, cycles=1).evolve()
    assert stats["history"][0]["reason"] == "gate.canary"


def poison(self):
    with torch.no_grad():
        self.model.output.bias.fill_(torch.nan)
    return self.model.eval()


def fill_disk(self):
    raise SaveFailed("save.failed", path="x", reason="No space left on device")


def crash(self):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("disaster", [poison, fill_disk, crash])
def test_a_disaster_counts_as_failed_and_changes_nothing(output, monkeypatch, disaster):
    before = model_hash(output)
    monkeypatch.setattr(LocalModelTrainer, "train", disaster)
    stats = driver.engine(output, cycles=1).evolve()
    assert (stats["total_evolutions"], stats["failed_evolutions"]) == (1, 1)
    assert stats["average_improvement"] == 0.0
    assert stats["history"][0]["improvement"] == 0.0
    assert model_hash(output) == before


def test_an_interrupted_cycle_does_not_count(output, monkeypatch):
    before = model_hash(output)
    monkeypatch.setattr(LocalModelTrainer, "train", interrupt)
    with pytest.raises(Interrupted):
        driver.engine(output).evolve()
    assert read_stats(output)["total_evolutions"] == 0
    assert model_hash(output) == before


def test_a_model_trained_anew_in_between_is_not_overwritten(output, training_only, monkeypatch):
    """The challenger of another champion is thrown away, not promoted over the new model."""
    conclude = SelfEvolutionEngine._conclude
    monkeypatch.setattr(gate, "judge", lambda *_: gate.Verdict(True, "gate.better"))
    monkeypatch.setattr(SelfEvolutionEngine, "_conclude", interrupt)
    with pytest.raises(Interrupted):
        driver.engine(output).evolve()
    model, provenance = load_model(output / MODEL_PATH)
    save_model(output / MODEL_PATH, model, {**provenance, "note": "trained anew"})
    monkeypatch.setattr(gate, "judge", lambda *_: gate.Verdict(False, "gate.not_better"))
    monkeypatch.setattr(SelfEvolutionEngine, "_conclude", conclude)
    stats = driver.engine(output, resume=True).evolve()
    assert not stats["history"][0]["promoted"]
    assert load_model(output / MODEL_PATH)[1]["note"] == "trained anew"


def test_what_an_earlier_model_learnt_does_not_count_for_a_new_one(base, evolved, tmp_path):
    """Its facts are taught, not reviewed, with the exposures of a beginning."""
    output = shutil.copytree(evolved, tmp_path / "out")
    shutil.copy(base / MODEL_PATH, output / MODEL_PATH)
    stats = driver.engine(output, cycles=1).evolve()
    plan = json.loads((output / EVOLUTION / "cycle_0003" / "plan.json").read_text())
    assert not plan["review"]
    assert stats["history"][2]["retained"] == 0
    assert stats["history"][2]["exposures"] >= driver.CONFIG.exposures
    assert stats["history"][2]["promoted"]
    kept = json.loads((output / EVOLUTION / "champions.json").read_text())
    assert kept["first_cycle"] == 3


def test_six_rejections_in_a_row_end_it(output, training_only):
    stats = driver.engine(output, cycles=9).evolve()
    assert stats["failed_evolutions"] == stats["total_evolutions"] == 6
    assert rejections_in_a_row(stats, 1) == 6


def test_rejections_change_the_mix(output):
    engine = driver.engine(output)
    for cycle_number, reason in enumerate(["gate.prose_worse", "gate.not_better", "x"], start=1):
        engine.stats["history"].append({"cycle": cycle_number, "promoted": False, "reason": reason})
    config = engine._adapted_config()
    assert config.replay_fraction == pytest.approx(driver.CONFIG.replay_fraction + 0.15)
    assert config.exposures > driver.CONFIG.exposures
    assert config.lr == driver.CONFIG.lr / 2


def test_what_was_forgotten_is_reviewed_more(output):
    engine = driver.engine(output)
    shares = []
    for cycle_number in (1, 2, 3):
        entry = {"cycle": cycle_number, "promoted": False, "reason": "gate.forgotten"}
        engine.stats["history"].append(entry)
        shares.append(engine._adapted_config().review_fraction)
    assert shares == pytest.approx([0.8, 0.9, 0.9])


def test_facts_need_fewer_exposures_where_most_were_learnt(output):
    engine = driver.engine(output)  # of 100 exposures
    configs = []
    for cycle_number, match in enumerate([0.7, 0.8, 0.5, 1.0, 1.0, 1.0], start=1):
        engine.stats["history"].append(
            {"cycle": cycle_number, "promoted": True, "facts": 9, "trained_cost": 1 - match}
        )
        configs.append(engine._adapted_config())
    assert [config.exposures for config in configs] == [100, 50, 100, 50, 25, 20]
    lr = driver.CONFIG.lr
    assert [config.lr for config in configs] == [lr, lr / 2, lr, lr / 2, lr / 2, lr / 2]


def test_weights_that_forgot_are_not_chosen(output, monkeypatch):
    """Where the trained weights forgot, mixtures with the champion are tried, until one did not."""
    counts = iter([9, 3, 4, 7, 8])  # of the champion, of the trained weights, of two mixtures
    monkeypatch.setattr(cycle.Cycle, "_remembered", lambda *_: next(counts))
    stats = driver.engine(output, cycles=1).evolve()
    assert stats["history"][0]["choice"] == "mixed 20%"
    assert next(counts, None) is None


def test_facts_of_one_relation_are_enough(tmp_path):
    """As many are chosen from as the budget can teach, however few relations there are."""
    facts = [
        {"id": f"f{n}", "subject": f"S{n}", "relation": "town", "object": "Arlen", "lang": "en"}
        for n in range(300)
    ]
    (tmp_path / "f.jsonl").write_text("\n".join(map(json.dumps, facts)))
    knowledge = load_knowledge_base(tmp_path, context_length=512)
    wanting = SimpleNamespace(knowledge=knowledge, memory=Memory(known={"f7": True}))
    pool = cycle.Cycle._pool(wanting, 200, random.Random(1))
    assert 200 <= len({fact.id for fact in pool} - {"f7"}) == len(pool)


@pytest.mark.parametrize("left", [0, 3])
def test_when_everything_is_known_that_can_be_proven_it_stops(output, training_only, left):
    model, provenance = load_model(output / MODEL_PATH)
    save_model(output / MODEL_PATH, model, {**provenance, "evolution_cycle": 1})
    engine = driver.engine(output)
    engine.memory.splits = engine.splits.digest
    engine.memory.known = {fact.id: True for fact in list(engine.knowledge.facts())[left:]}
    stats = engine.evolve()
    assert stats["total_evolutions"] == 0


def test_planned_minutes_decide_how_much_a_cycle_trains_on(output, training_only):
    sizes = []
    for minutes in (0.5, 5.0):
        engine = driver.engine(output, max_minutes=minutes, cycles=1)
        engine.evolve()
        sizes.append(engine.run.cycle_bytes)
    assert 3 < sizes[1] / sizes[0] < 30


@pytest.mark.parametrize("facts", [1, 0])
def test_one_fact_and_none(output, facts, capsys):
    """One fact can be taught but nothing proves it, which is said without an infinite bound;
    without any the text itself is taught."""
    path = output / "kb" / "f.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:facts]))
    before = model_hash(output)
    if facts:
        engine = driver.engine(output, cycles=1, cycle_bytes=4096)
        engine.console = Console()
        stats = engine.evolve()
        assert model_hash(output) == before
        said = capsys.readouterr().out
        assert "给不出区间" in said
        assert not {"inf", "nan%"} & set(re.split(r"[\s（）|]+", said))
    else:
        config = replace(driver.CONFIG, cycles=1, cycle_bytes=20_000)
        text = driver.open_text(output)
        stats = SelfEvolutionEngine(text, None, output, config, driver.TRAINING).evolve()
        assert stats["history"][0]["primary"] == "prose"
        assert stats["history"][0]["generated"]["kinds"].keys() == {"passage"}
    assert stats["total_evolutions"] == 1


def test_too_little_text_to_prove_anything_is_said(output, training_only, capsys):
    driver.engine(output, cycles=1, cycle_bytes=4096).evolve()
    assert "--max_minutes" in capsys.readouterr().err


def test_the_file_must_reproduce_what_was_measured(output, training_only, monkeypatch):
    before = model_hash(output)
    monkeypatch.setattr(cycle, "_SAME_LOSS", -1.0)
    stats = driver.engine(output, cycles=1).evolve()
    assert "重新读入" in stats["history"][0]["reason"]
    assert model_hash(output) == before


def test_a_model_of_other_text_is_warned_about(output, training_only, capsys):
    driver.engine(output, cycles=1).evolve()
    assert "--eval_dir" not in capsys.readouterr().err
    path = output / "text" / "t.txt"
    corpus = open_corpus(path, output / "cache", context_length=64, eval_path=path)
    config = replace(driver.CONFIG, cycles=1)
    knowledge = driver.open_knowledge(output)
    SelfEvolutionEngine(corpus, knowledge, output, config, driver.TRAINING).evolve()
    assert "--eval_dir" in capsys.readouterr().err


def test_without_a_model_there_is_nothing_to_evolve(output):
    (output / MODEL_PATH).unlink()
    with pytest.raises(ModelFileError, match="找不到模型"):
        driver.engine(output)


def test_damaged_statistics_are_refused_not_overwritten(output):
    (output / EVOLUTION_STATS).write_text('{"total_evolutions": "many"}')
    with pytest.raises(UnusableInput, match=EVOLUTION_STATS):
        driver.engine(output)
    assert (output / EVOLUTION_STATS).read_text() == '{"total_evolutions": "many"}'


def test_old_statistics_are_gone_on_with(output, training_only):
    """History of the version before, which had fewer keys."""
    old = {"promoted": True, "improvement": 0.5, "difference": {"mean": -1, "low": -2, "high": 0}}
    write_json(
        output / EVOLUTION_STATS,
        {
            "total_evolutions": 1,
            "successful_evolutions": 1,
            "failed_evolutions": 0,
            "average_improvement": 0.5,
            "history": [{"cycle": 1, **old}],
        },
    )
    stats = driver.engine(output, cycles=1).evolve()
    assert [entry["cycle"] for entry in stats["history"]] == [1, 2]
    assert stats["average_improvement"] == 0.25


def test_held_out_questions_never_reach_the_lesson(evolved):
    engine = driver.engine(evolved)
    facts = list(engine.knowledge.facts())
    for number in (1, 2):
        path = evolved / EVOLUTION / f"cycle_{number:04d}" / "generated.jsonl"
        lines = {
            line
            for record in path.read_text(encoding="utf-8").splitlines()
            for line in json.loads(record)["text"].split("\n")
        }
        for split in ("dev", "gate", "vault"):
            asked = {question.prompt for question in ask(facts, driver.WORDINGS, split)}
            assert lines and not asked & lines
