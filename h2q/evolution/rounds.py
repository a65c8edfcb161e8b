"""The rounds of a challenger: each writes a lesson, trains on it, and asks on dev what is known now.

Facts are taught until dev says that they are learnt, or that no more comes of it, at most for the
rounds of the cycle. First a few facts are taught often, until the form of question and answer is
known; then all of them, and less of those that dev shows as known, so that more of the person's own
text is replayed. A model that has learnt facts before knows the form. The learning rate stays up
until most facts are known, and then falls (arXiv 2405.18392). The last rounds heal what learning did
to prose. Prose itself has one round. Does not choose weights, and does not decide on promotion.
"""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import Tensor

from h2q.checkpoint.model_file import load_model
from h2q.checkpoint.saved_run import load_saved_run
from h2q.datasets.corpus import Corpus, open_corpus
from h2q.evolution import lesson
from h2q.evolution.context import Cycle
from h2q.evolution.gate import PROSE_TOLERANCE
from h2q.evolution.lesson import ASKED_TEXT, GENERATED_TEXT
from h2q.evolution.recipe import challenger_config, recipe_of
from h2q.evolution.records import Lesson, Plan, Round, load, run_phase
from h2q.model.transformer import Transformer
from h2q.system.errors import TrainingDiverged
from h2q.training.fine_tuning import FineTuning
from h2q.training.trainer import LocalModelTrainer

_AVERAGED_SHARE = 0.25  # of a round, its last part
_ANSWER_WEIGHT = 5.0  # of a byte of an answer in the loss, beside 1 for all others
_LEARNT = 0.95  # share of the facts; then a cycle ends
_NO_MORE = 0.02  # share of the facts; a round that brings less brings nothing
_FORM_EXPOSURES = 60  # in a round, of each fact that is taught first
_FORM_FACTS = 24  # that are taught first, at least
_FORM_KNOWN = 0.8  # share of these facts; then the form is known
_FALL_FROM = 0.6  # share of the facts known, from which on the learning rate falls
_FALL = 0.25  # of the learning rate in a round
_KNOWN_SHARE = 0.25  # of the documents of an unknown fact, for one that dev shows as known

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Trained:
    """What the rounds of a cycle left: a model, and the mean of its weights in the last part."""

    model: Transformer
    averaged: Weights
    rounds: int
    bytes: int  # of all lessons


def train(cycle: Cycle, plan: Plan) -> Trained:
    """Teaches round after round. Goes on where a killed cycle was. Raises ``TrainingDiverged``
    where a loss is not finite."""
    model, done = _start(cycle, plan), list[Round]()
    while True:
        this = replace(cycle, round=len(done) + 1)
        found = load(Round, this.round_paths.round_record)
        if found is not None and cycle.paths.round(this.round + 1).lesson.exists():
            model = load_model(this.round_paths.output.model)[0].to(cycle.setup.device)
            done.append(found)
            continue
        _write_lesson(this, plan, done)
        model, averaged = _trained(this, plan, model, rates(cycle, plan, done))
        done.append(_examined(this, plan, model))
        if reason := reason_to_end(cycle, plan, done):
            if plan.primary == "facts":
                cycle.setup.console.say(reason)
            return Trained(model, averaged, len(done), sum(each.trained_bytes for each in done))


def _write_lesson(cycle: Cycle, plan: Plan, done: list[Round]) -> None:
    """Writes the lesson of this round, and removes what the round before needs no more."""
    counts = documents_of_round(cycle, plan, done)
    run_phase(Lesson, cycle.round_paths.lesson, lambda: lesson.write(cycle, plan, counts))
    if done:
        before = cycle.paths.round(cycle.round - 1)
        for directory in (before.text, before.output.checkpoints):
            shutil.rmtree(directory, ignore_errors=True)


def _start(cycle: Cycle, plan: Plan) -> Transformer:
    """The weights that training begins with: those that the cycle before left, if it taught the same
    course of prose, or the same facts without success; else the champion's."""
    path = cycle.setup.paths.trunk
    goes_on = cycle.course.index > 0 if plan.primary == "prose" else plan.goes_on
    if not goes_on or not path.exists():
        return cycle.champion
    model, provenance = load_model(path)
    if provenance.get("evolution_cycle") != cycle.number - 1:
        return cycle.champion
    return model.to(cycle.setup.device)


def documents_of_round(cycle: Cycle, plan: Plan, done: list[Round]) -> dict[str, int]:
    """How many documents this round writes about each fact, by id."""
    known = set(done[-1].known) if done else set[str]()
    review = {name: max(1, count // plan.rounds) for name, count in plan.review}
    wanted = plan.facts if _knows_form(cycle, plan, done) else _first_facts(plan)
    each = _documents(plan) / max(1, len(wanted))
    counts = {name: each * (_KNOWN_SHARE if name in known else 1.0) for name in wanted}
    return {name: max(1, round(count)) for name, count in counts.items()} | review


def _documents(plan: Plan) -> float:
    """How many documents a round writes about new facts."""
    return plan.exposures * len(plan.facts) / plan.rounds


def _first_facts(plan: Plan) -> list[str]:
    """The facts that are taught until the form of question and answer is known: as many as can be
    taught often enough in one round. They are of all relations, because plans take facts by turns."""
    return plan.facts[: max(_FORM_FACTS, int(_documents(plan) / _FORM_EXPOSURES))]


def _knows_form(cycle: Cycle, plan: Plan, done: list[Round]) -> bool:
    """Whether the model has ever answered in the form that questions want."""
    if cycle.memory.known or plan.goes_on:
        return True
    first = set(_first_facts(plan))
    return any(len(first.intersection(each.known)) >= _FORM_KNOWN * len(first) for each in done)


def rates(cycle: Cycle, plan: Plan, done: list[Round]) -> tuple[float, float]:
    """The learning rates at the beginning and the end of the next round, as shares of the peak.

    The rate stays up until most facts are known, and then falls in every round, to 0 in the last one.
    A model that has learnt facts before learns quickly, so there it falls from the beginning.
    """
    needed = _FALL_FROM * len(plan.facts)
    enough = [number for number, each in enumerate(done) if len(each.known) >= needed]
    begun = [-1] if cycle.memory.known else enough
    is_last = len(done) + 1 >= plan.rounds
    if not begun:
        return 1.0, 0.0 if is_last else 1.0
    first = _FALL ** (len(done) - begun[0] - 1)
    return first, 0.0 if is_last else first * _FALL


def reason_to_end(cycle: Cycle, plan: Plan, done: list[Round]) -> str:
    """The key of the message that says why the round that was done last is the last of its cycle;
    empty where another one follows."""
    if plan.primary == "prose":
        return "evolve.rounds_over"
    shares = [len(each.known) / len(plan.facts) for each in done]
    if shares[-1] >= _LEARNT and done[-1].harm <= PROSE_TOLERANCE:
        return "evolve.rounds_learnt"
    if len(done) >= plan.rounds:
        return "evolve.rounds_over"
    if not _knows_form(cycle, plan, done) or len(done) < 3:
        return ""
    heals = PROSE_TOLERANCE < done[-1].harm < done[-2].harm
    stands_still = max(shares[-2:]) < max(shares[:-2]) + _NO_MORE
    return "evolve.rounds_no_more" if stands_still and not heals else ""


def _examined(cycle: Cycle, plan: Plan, model: Transformer) -> Round:
    """The record of a round after which the model is ``model``."""

    def examine() -> Round:
        known, harm = _known(cycle, plan, model), _harm(cycle, model)
        if not math.isfinite(harm):
            raise TrainingDiverged("evolve.not_finite")
        if plan.facts:
            cycle.setup.console.say(
                "evolve.round",
                round=cycle.round,
                known=len(known),
                facts=len(plan.facts),
                harm=harm,
            )
        return Round(known, harm, _lesson_bytes(cycle))

    return run_phase(Round, cycle.round_paths.round_record, examine)


def _known(cycle: Cycle, plan: Plan, model: Transformer) -> list[str]:
    """Ids of the new facts that ``model`` answers on dev."""
    examiner = cycle.setup.examiner
    facts = examiner.facts_named(plan.facts)
    with _alone(model):
        correct = examiner.facts(model, facts, "dev").correct
    return [fact.id for fact, right in zip(facts, correct) if right]


def _harm(cycle: Cycle, model: Transformer) -> float:
    """How many bits per byte ``model`` costs more than the champion on dev prose."""
    costs = []
    for each in (model, cycle.champion):
        with _alone(each):
            costs.append(cycle.setup.examiner.prose(each, "dev").bits_per_byte)
    return costs[0] - costs[1]


@contextmanager
def _alone(model: Transformer) -> Iterator[None]:
    """Takes the memory of ``model`` away for a while: during the rounds its gate does not fit."""
    memory, model.memory = model.memory, None
    try:
        yield
    finally:
        model.memory = memory


def _lesson_bytes(cycle: Cycle) -> int:
    return sum(path.stat().st_size for path in cycle.round_paths.text.iterdir())


def _trained(
    cycle: Cycle, plan: Plan, start: Transformer, rates: tuple[float, float]
) -> tuple[Transformer, Weights]:
    """``start`` after one pass over the lesson, and the average of its weights in the last part.
    Goes on from the checkpoints of a run that was killed."""
    setup, paths = cycle.setup, cycle.round_paths
    size, context_length = _lesson_bytes(cycle), cycle.champion.config.context_length
    corpus = open_corpus(
        paths.text,
        paths.output.checkpoints,
        context_length=min(size, context_length),
        heldout=setup.splits.prose["dev"],
    )
    asked, replay_from = _parts(corpus)
    trainer = LocalModelTrainer(
        corpus,
        paths.output.root,
        replace(cycle.champion.config, dropout=0.0),  # needless in one pass over new text
        challenger_config(recipe_of(cycle, plan, rates), size, context_length),
        device=setup.device,
        dtype=setup.dtype,
        console=setup.console,
        fine_tuning=FineTuning(
            start,
            cycle.champion,
            replay_from,
            1 - _AVERAGED_SHARE,
            asked_bytes=asked,
            answer_weight=_ANSWER_WEIGHT,
        ),
        resume_from=load_saved_run(paths.output.root, setup.console),
    )
    trained = trainer.train()
    return trained, trainer.averaged_weights() or trained.state_dict()


def _parts(corpus: Corpus) -> tuple[int, int]:
    """How many bytes of a lesson are questions with answers, which come first, and where the
    replayed text begins."""
    sizes = {file.path.name: file.size + 1 for file in corpus.scan.files}  # the end of a document
    asked = sizes.get(ASKED_TEXT, 0)
    return asked, asked + sizes.get(GENERATED_TEXT, 0)
