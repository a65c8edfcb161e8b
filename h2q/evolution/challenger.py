"""Phase 2 of a cycle: the challenger, a copy of the champion that is trained in ``rounds``.

On replayed text it learns the champion's predictions beside the bytes (arXiv 1606.09282). There are
several candidates: the last weights, and their average over the last quarter of the last round. If
both harm what the champion can do, mixtures of the last weights with the champion's are tried too
(arXiv 2109.01903). The measures on dev choose. Does not decide on promotion.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

from h2q.checkpoint.model_file import save_model
from h2q.evolution import rounds
from h2q.evolution.context import Cycle, Setup
from h2q.evolution.gate import PROSE_TOLERANCE, most_forgotten
from h2q.evolution.lesson import ASKED_TEXT, GENERATED_TEXT
from h2q.evolution.records import Plan, Training
from h2q.evolution.rounds import Weights
from h2q.memory.mixture import Memory
from h2q.model.transformer import Transformer
from h2q.system.errors import TrainingDiverged
from h2q.system.files import sha256_of_file
from h2q.training.memory import fit_gate

_CHAMPIONS_SHARES = (0.1, 0.2, 0.3)  # of the champion's weights in the mixtures that are tried
_GATE_BYTES = 16_384  # of dev prose, on which the memory's gate is fitted
# Of the lesson, beside each byte of prose. More of it costs prose, and answers gain nothing by it.
_LESSON_SHARE = 0.1
_PIECE_BYTES = 128  # of the lesson
_TIE_BREAK = 0.01  # weight of one bit per byte, beside the share of right answers

Cost = Callable[[Transformer], tuple[float, float]]


def train(cycle: Cycle, plan: Plan) -> Training:
    """Trains the challenger and saves it; returns which weights were chosen.

    Prose is learnt in courses of several cycles, as if in one run. The learning rate falls once
    over all of them. Each cycle goes on from the weights of the one before, whether that challenger
    was kept or not. So does a cycle whose facts the one before taught without success. Raises
    ``TrainingDiverged``.
    """
    left = rounds.train(cycle, plan)
    last = replace(cycle, round=left.rounds)
    challenger = copy.deepcopy(cycle.champion)
    challenger.memory = _memory(last, left.model)
    choice, costs = choose_weights(
        challenger,
        cycle.champion.state_dict(),
        left.model.state_dict(),
        left.averaged,
        cost_on_dev(cycle, plan),
    )
    provenance = {**cycle.provenance, "evolution_cycle": cycle.number}
    save_model(cycle.paths.challenger, challenger, provenance)
    save_model(cycle.paths.trunk, left.model, provenance)
    return Training(
        choice=choice,
        dev_costs=costs,
        trained_bytes=left.bytes,
        sha256=sha256_of_file(cycle.paths.challenger),
    )


def _memory(cycle: Cycle, trained: Transformer) -> Memory | None:
    """The champion's memory of the person's text, with the gate that fits ``trained``: it must be
    believed where it answers from what was taught, of which the text says nothing. Fitted on dev
    prose and on the lesson of a knowledge base. A lesson of the text itself would show the gate
    what the memory knows by heart, and it would believe it everywhere."""
    memory, setup = cycle.champion.memory, cycle.setup
    if memory is None:
        return None
    length, dev = trained.config.context_length, setup.splits.prose["dev"]
    rows = [dev.read(start, count + 1) for start, count in dev.windows(length, _GATE_BYTES)]
    taught = [cycle.round_paths.text / name for name in (ASKED_TEXT, GENERATED_TEXT)]
    text = b"".join(path.read_bytes() for path in taught if path.exists())
    if setup.knowledge is not None and text:
        rows += _pieces(text, min(_PIECE_BYTES, length), _LESSON_SHARE * sum(map(len, rows)))
    return replace(memory, gate=fit_gate(trained, memory, rows, setup.dtype))


def _pieces(text: bytes, length: int, size_bytes: float) -> list[bytes]:
    """Pieces of ``text``, evenly spaced, about ``size_bytes`` together."""
    starts = range(0, len(text) - 1, length)
    step = max(1, round(len(text) / max(1.0, size_bytes)))
    return [text[start : start + length] for start in starts[::step]]


def choose_weights(
    challenger: Transformer, old: Weights, last: Weights, averaged: Weights, cost: Cost
) -> tuple[str, dict[str, tuple[float, float]]]:
    """Loads the best candidate into ``challenger``. Returns its name, and the costs of all
    candidates that were tried.

    Mixtures of the ``last`` weights with the ``old`` ones, which are the champion's, are tried one
    after the other while no candidate is safe. Raises ``TrainingDiverged`` when a cost is not
    finite.
    """
    candidates = {"last": last, "averaged": averaged}
    costs = {name: _cost_of(weights, challenger, cost) for name, weights in candidates.items()}
    for share in _CHAMPIONS_SHARES:
        if any(harm <= 1 for _, harm in costs.values()):
            break
        name = f"mixed {share:.0%}"
        candidates[name] = {key: last[key].lerp(old[key], share) for key in last}
        costs[name] = _cost_of(candidates[name], challenger, cost)
    # The best of the safe ones; where none is safe, the one that harms least.
    choice = min(costs, key=lambda name: (max(1, costs[name][1]), costs[name][0]))
    challenger.load_state_dict(candidates[choice])
    return choice, costs


def _cost_of(weights: Weights, model: Transformer, cost: Cost) -> tuple[float, float]:
    """``cost`` of ``model`` with these ``weights``, which it keeps."""
    model.load_state_dict(weights)
    values = cost(model)
    if not all(map(math.isfinite, values)):
        raise TrainingDiverged("evolve.not_finite")
    return values


def cost_on_dev(cycle: Cycle, plan: Plan) -> Cost:
    """The cost by which weights are chosen: a function that measures, on dev, a model's primary
    measure and its harm to everything else. Harm is a share of what the gate tolerates: up to 1 is
    safe. Only half of the tolerance for prose is used, because the gate wants a proof."""
    examiner = cycle.setup.examiner
    known = examiner.facts_named(cycle.retained)

    def remembered(model: Transformer) -> int:
        return int(examiner.facts(model, known, "dev").correct.sum())

    before = remembered(cycle.champion)

    def cost(model: Transformer) -> tuple[float, float]:
        prose = examiner.prose(model, "dev").bits_per_byte - plan.dev_bits_per_byte
        forgotten = before - remembered(model)
        harms = prose / (PROSE_TOLERANCE / 2), forgotten / most_forgotten(len(known))
        return primary_on_dev(cycle.setup, plan, model), max(harms)

    return cost


def primary_on_dev(setup: Setup, plan: Plan, model: Transformer) -> float:
    """The primary measure: bits per byte of prose, or the share of questions that are not answered.
    Equal shares are told apart by the cost of the right answers."""
    if plan.primary == "prose":
        return setup.examiner.prose(model, "dev").bits_per_byte
    facts = setup.examiner.facts_named(plan.facts)
    scores = setup.examiner.facts(model, facts, "dev")
    return 1 - scores.exact_match + _TIE_BREAK * scores.bits_per_byte
