import copy
import json
import shutil
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from h2q.checkpoint.model_file import load_model, save_model
from h2q.evolution import comparison, rounds
from h2q.evolution.context import Course
from h2q.evolution.recipe import recipe_of
from h2q.evolution.records import Memory, Round, Verdict
from h2q.evolution.rounds import documents_of_round, rates, reason_to_end
from h2q.system.errors import Interrupted
from h2q.training.trainer import LocalModelTrainer
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, interrupt, plan_of

NAMES = [f"f{number}" for number in range(100)]
REVIEW = [("r0", 13), ("r1", 1)]
# A round has 1440 documents about new facts: 60 for each of 24.
PLAN = plan_of(facts=NAMES, exposures=86.4, rounds=6, primary="facts", review=REVIEW)


def after(*known: int, harm: tuple[float, ...] = ()) -> list[Round]:
    """Rounds after which so many of the facts were known, and prose so much worse."""
    harms = harm or (0.0,) * len(known)
    return [Round(NAMES[:count], worse, 1000) for count, worse in zip(known, harms)]


@pytest.fixture
def this(output):
    return cycle_of(driver.engine(output), rounds=6)


def test_a_few_facts_come_first_until_the_form_is_known(this):
    first = documents_of_round(this, PLAN, [])
    assert list(first) == [*NAMES[:24], "r0", "r1"]
    taught = sum(first[name] for name in NAMES[:24])
    assert taught == pytest.approx(1440, rel=0.05)  # as many as in any other round
    assert (first["r0"], first["r1"]) == (2, 1)
    assert set(documents_of_round(this, PLAN, after(18))) == set(first), "not known yet"
    assert set(documents_of_round(this, PLAN, after(20))) == {*NAMES, "r0", "r1"}
    assert set(NAMES) < set(documents_of_round(this, PLAN, after(20, 3))), "it stays known"


def test_what_dev_shows_as_known_is_taught_less(this):
    """The others are not taught more for it: the person's own text takes the room."""
    counts = documents_of_round(this, PLAN, after(60))
    assert counts["f99"] == pytest.approx(1440 / 100, abs=0.5)
    assert counts["f0"] == pytest.approx(1440 / 100 / 4, abs=0.5)


def test_a_model_that_learnt_facts_knows_the_form(this):
    experienced = replace(this, memory=Memory(known={"x": True}))
    assert set(NAMES) < set(documents_of_round(experienced, PLAN, []))
    assert set(NAMES) < set(documents_of_round(this, replace(PLAN, goes_on=True), []))


def test_few_facts_are_all_taught_at_once(this):
    few = replace(PLAN, facts=NAMES[:40], exposures=400)
    assert set(NAMES[:40]) < set(documents_of_round(this, few, []))


def test_the_rate_falls_once_most_facts_are_known_and_to_nothing_in_the_last_round(this):
    assert rates(this, PLAN, []) == (1.0, 1.0)
    assert rates(this, PLAN, after(20, 59)) == (1.0, 1.0)
    assert rates(this, PLAN, after(20, 60)) == (1.0, 0.25)
    assert rates(this, PLAN, after(20, 60, 30)) == (0.25, 0.25**2), "it never rises again"
    assert rates(this, PLAN, after(20, 60, 90, 90, 90)) == (0.25**3, 0.0)
    assert rates(this, PLAN, after(0, 0, 0, 0, 0)) == (1.0, 0.0)
    experienced = replace(this, memory=Memory(known={"x": True}))
    assert rates(experienced, PLAN, []) == (1.0, 0.25)
    assert rates(experienced, PLAN, after(90)) == (0.25, 0.25**2)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ((0,), ""),
        ((95,), "evolve.rounds_learnt"),
        ((20, 50, 94), ""),
        ((30, 50, 51, 50), "evolve.rounds_no_more"),
        ((30, 50, 51, 53), ""),
        ((5, 5, 5, 5, 5), ""),  # the form is not known yet
        ((5, 5, 5, 5, 5, 6), "evolve.rounds_over"),
    ],
)
def test_a_cycle_ends_when_its_facts_are_learnt_or_no_more_comes(this, known, reason):
    assert reason_to_end(this, PLAN, after(*known)) == reason


def test_learning_goes_on_until_prose_is_healed(this):
    assert reason_to_end(this, PLAN, after(98, harm=(0.02,))) == ""
    assert reason_to_end(this, PLAN, after(98, 98, harm=(0.02, 0.01))) == "evolve.rounds_learnt"
    healing = after(98, 98, 98, 98, harm=(0.09, 0.06, 0.04, 0.03))
    assert reason_to_end(this, PLAN, healing) == ""
    in_vain = after(98, 98, 98, 98, harm=(0.09, 0.06, 0.04, 0.05))
    assert reason_to_end(this, PLAN, in_vain) == "evolve.rounds_no_more"


def test_prose_has_one_round(this):
    assert reason_to_end(this, plan_of(), [Round([], 0.0, 5)])


@pytest.fixture
def short(output, monkeypatch):
    """An evolution of one cycle with two rounds, none of which learns anything."""
    monkeypatch.setattr(LocalModelTrainer, "train", lambda self: self.model.eval())
    return driver.engine(output, cycles=1, rounds=2, cycle_bytes=20_000)


def test_the_lessons_of_all_rounds_are_told_together(short):
    entry = short.evolve()["history"][0]
    paths = short.paths.cycle(1)
    lessons = [json.loads(paths.round(number).lesson.read_text()) for number in (1, 2)]
    assert not paths.round(3).root.exists()
    for name in ("documents", "bytes", "replay_bytes"):
        assert entry["generated"][name] == sum(lesson[name] for lesson in lessons)
    assert entry["generated"]["kinds"].keys() == {"question", "statement", "cloze"}
    records = [json.loads(paths.round(number).round_record.read_text()) for number in (1, 2)]
    assert entry["trained_bytes"] == sum(record["trained_bytes"] for record in records)


def test_only_records_stay_of_the_rounds_of_a_cycle(short):
    short.evolve()
    left = {path.name for path in short.paths.cycle(1).round(2).root.iterdir()}
    assert left == {"lesson.json", "round.json", "generated.jsonl"}


def test_the_rate_of_a_course_falls_once_and_what_it_left_is_taken_up(output, monkeypatch):
    made = []

    def trained(cycle, plan, start, rates):
        made.append((recipe_of(cycle, plan, rates), start.output.bias[7].item()))
        trained = copy.deepcopy(start)
        with torch.no_grad():
            trained.output.bias[7] += 1
        return trained, trained.state_dict()

    rejected = {"promoted": False, "improvement": 0.0, "reason": "x", "primary": "prose"}
    monkeypatch.setattr(rounds, "_trained", trained)
    monkeypatch.setattr(
        comparison,
        "compare",
        lambda *_: Verdict(entry=rejected, known={}, retained={}, prose=[]),
    )
    driver.engine(output, cycles=5, prose=True).evolve()
    first = made[0][1]
    assert [bias - first for _, bias in made] == pytest.approx([0, 1, 2, 0, 1])
    lr = driver.CONFIG.lr
    ends = [(recipe.lr, recipe.lr * recipe.min_lr_ratio) for recipe, _ in made]
    assert ends[:3] == [pytest.approx(pair) for pair in pairwise([lr, lr * 2 / 3, lr / 3, 0])]
    assert ends[3:] == [pytest.approx(pair) for pair in pairwise([lr / 2, lr / 4, 0])]  # halved
    assert {recipe.weight_decay for recipe, _ in made} == {driver.TRAINING.weight_decay}


def test_a_trunk_of_another_course_is_not_taken_up(output):
    engine = driver.engine(output, prose=True)
    model, provenance = load_model(engine.paths.model)
    for left_by, found in ((4, True), (3, False)):
        trunk = {**provenance, "evolution_cycle": left_by}
        save_model(engine.paths.trunk, model, trunk)
        cycle = cycle_of(engine, number=5, course=Course(1, 3))
        assert (rounds._start(cycle, plan_of()) is not cycle.champion) == found
    cycle = cycle_of(engine, number=4, course=Course(0, 3))
    assert rounds._start(cycle, plan_of()) is cycle.champion


def test_the_champion_teaches_what_is_replayed_and_nothing_else(output, monkeypatch):
    seen = {}

    class Watched(LocalModelTrainer):
        def __init__(self, corpus, *others, **options):
            super().__init__(corpus, *others, **options)
            seen.update(vars(options["fine_tuning"]), train=corpus.train)

        train = interrupt

    monkeypatch.setattr(rounds, "LocalModelTrainer", Watched)
    engine = driver.engine(output)
    with pytest.raises(Interrupted):
        engine.evolve()
    text = engine.paths.cycle(1).text
    asked, generated, replayed = (
        (text / f"{name}.txt").read_bytes() for name in ("asked", "generated", "replayed")
    )
    assert seen["train"].read(0, len(asked)) == asked
    assert seen["asked_bytes"] == len(asked) + 1  # and the end of the document
    assert seen["train"].read(len(asked) + 1, len(generated)) == generated
    assert seen["train"].read(seen["replay_from"], len(replayed)) == replayed
    champion = load_model(engine.paths.model)[0].state_dict()
    assert not seen["teacher"].training
    assert all(torch.equal(w, champion[n]) for n, w in seen["teacher"].state_dict().items())


def test_what_was_not_learnt_goes_on_from_where_training_stopped(output, monkeypatch):
    """The second cycle teaches the same facts, and its training begins with the weights that the
    first one left. The champion stays what it was. Facts added meanwhile do not change that."""
    begun = []

    def trained(cycle, plan, start, rates):
        begun.append((start.output.bias[7].item(), plan.goes_on, plan.facts))
        model = copy.deepcopy(start)
        with torch.no_grad():
            model.output.bias[7] += 1
        model_path = cycle.round_paths.output.model
        save_model(model_path, model, cycle.provenance)
        return model, model.state_dict()

    monkeypatch.setattr(rounds, "_trained", trained)
    before = load_model(output / "h2q_project/h2q_trained_model.pt")[0].output.bias[7].item()
    stats = driver.engine(output, cycles=2, rounds=2).evolve()
    reasons = [entry["reason"] for entry in stats["history"]]
    if reasons != ["gate.not_better"] * 2:
        pytest.skip(f"the model learnt something by chance: {reasons}")
    assert [round(bias - before) for bias, _, _ in begun] == [0, 1, 2, 3]
    assert [goes_on for _, goes_on, _ in begun] == [False, False, True, True]
    assert begun[0][2] == begun[2][2]
    after = load_model(output / "h2q_project/h2q_trained_model.pt")[0].output.bias[7].item()
    assert after == before


def test_stopped_in_its_second_round_it_ends_as_if_it_had_not_been(base, tmp_path, monkeypatch):
    """What the first round left is read again, and the second one is made anew."""
    ends = []
    for name, stops in (("whole", False), ("stopped", True)):
        output = shutil.copytree(base, tmp_path / name)
        settings = {"cycles": 1, "rounds": 2, "cycle_bytes": 12_000}
        if stops:
            train, calls = LocalModelTrainer.train, []

            def stopping(self, train=train, calls=calls):
                calls.append(self)
                return train(self) if len(calls) == 1 else interrupt()

            with monkeypatch.context() as patch:
                patch.setattr(LocalModelTrainer, "train", stopping)
                with pytest.raises(Interrupted):
                    driver.engine(output, **settings).evolve()
        engine = driver.engine(output, resume=stops, **settings)
        history = engine.evolve()["history"]
        trunk, _ = load_model(engine.paths.trunk)
        ends.append((history, trunk.state_dict()))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(weight, ends[1][1][name]) for name, weight in ends[0][1].items())
