"""Phase 3 of a cycle: the challenger, a copy of the champion that is trained on the lesson.

A new optimizer warms up to a learning rate of its own and decays (arXiv 2403.08763). On replayed
text the challenger learns the champion's predictions beside the bytes (arXiv 1606.09282). There are
several candidates: the last weights, and their average over the last quarter of the run. If both
harm what the champion can do, mixtures of the last weights with the champion's are tried too (arXiv
2109.01903). The measures on dev choose. Does not decide on promotion.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from h2q.checkpoint.model_file import load_model, save_model
from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import TrainingConfig, derived_seed
from h2q.datasets.corpus import Corpus, open_corpus
from h2q.evolution.context import Cycle, Setup
from h2q.evolution.gate import PROSE_TOLERANCE, most_forgotten
from h2q.evolution.lesson import GENERATED_TEXT
from h2q.evolution.records import Plan, Training
from h2q.memory.mixture import Memory
from h2q.model.transformer import Transformer
from h2q.system.errors import TrainingDiverged
from h2q.system.files import sha256_of_file
from h2q.training.fine_tuning import FineTuning
from h2q.training.memory import fit_gate
from h2q.training.trainer import LocalModelTrainer

_MUON_SHARE = 0.6  # of the rate of AdamW
_LONG_WINDOW = 512  # bytes; a quarter of it still holds a question with its answer
_WARMUP_SHARE = 0.05  # of the steps
_AVERAGED_SHARE = 0.25  # of the run, its last part
_CHAMPIONS_SHARES = (0.1, 0.2, 0.3)  # of the champion's weights in the mixtures that are tried
_GATE_BYTES = 16_384  # of dev prose, and of the lesson, on which the memory's gate is fitted
_TIE_BREAK = 0.01  # weight of one bit per byte, beside the share of right answers

Weights = dict[str, Tensor]
Cost = Callable[[Transformer], tuple[float, float]]


@dataclass(frozen=True)
class Recipe:
    """How a challenger is trained: the settings of the base model, and what differs by cycle."""

    base: TrainingConfig
    lr: float  # peak learning rate of AdamW
    seed: int
    min_lr_ratio: float = 0.0
    weight_decay: float = 0.1  # replayed text is repeated often; a stronger decay forgets facts


def train(cycle: Cycle, plan: Plan) -> Training:
    """Trains the challenger and saves it; returns which weights were chosen.

    Prose is learnt in courses of several cycles, as if in one run. The learning rate falls once
    over all of them. Each cycle goes on from the weights of the one before, whether that challenger
    was kept or not. Facts are learnt within one cycle. Raises ``TrainingDiverged``.
    """
    start = cycle.champion
    if plan.primary == "prose":
        start = _trunk(cycle) or start
    trained, averaged = _trained(cycle, start, recipe_of(cycle, plan))
    challenger = copy.deepcopy(cycle.champion)
    challenger.memory = _memory(cycle, trained)
    choice, costs = choose_weights(
        challenger,
        cycle.champion.state_dict(),
        trained.state_dict(),
        averaged,
        cost_on_dev(cycle, plan),
    )
    provenance = {**cycle.provenance, "evolution_cycle": cycle.number}
    save_model(cycle.paths.challenger, challenger, provenance)
    if plan.primary == "prose":
        save_model(cycle.paths.trunk, trained, provenance)
    return Training(
        choice=choice,
        dev_costs=costs,
        trained_bytes=_lesson_bytes(cycle),
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
    lesson = cycle.paths.text / GENERATED_TEXT
    if setup.knowledge is not None and lesson.exists():
        rows += _pieces(lesson.read_bytes(), length + 1)
    return replace(memory, gate=fit_gate(trained, memory, rows, setup.dtype))


def _pieces(text: bytes, length: int) -> list[bytes]:
    """Pieces of ``text``, evenly spaced, about ``_GATE_BYTES`` together."""
    starts = range(0, len(text) - 1, length)
    step = max(1, len(starts) * length // _GATE_BYTES)
    return [text[start : start + length] for start in starts[::step]]


def recipe_of(cycle: Cycle, plan: Plan) -> Recipe:
    """The recipe of this cycle; where prose is learnt, of its part of the course."""
    base, lr = cycle.setup.training, cycle.config.lr
    seed = derived_seed(cycle.setup.seed, cycle.number)
    if plan.primary == "facts":
        return Recipe(base, lr, seed)
    index, count = cycle.course.index, cycle.course.count
    return Recipe(
        base,
        lr * (1 - index / count),
        seed,
        min_lr_ratio=(count - index - 1) / (count - index),
        weight_decay=base.weight_decay,
    )


def challenger_config(recipe: Recipe, size_bytes: int, context_length: int) -> TrainingConfig:
    """Settings for one pass over ``size_bytes`` of text."""
    # Half a batch: a cycle is short, and facts need many updates more than exact gradients.
    batch_size = max(1, recipe.base.batch_size // 2)
    steps = size_bytes / (context_length * batch_size)
    return replace(
        recipe.base,
        epochs=1,
        max_minutes=0.0,
        optimizer="muon",
        lr=recipe.lr,
        muon_lr=_MUON_SHARE * recipe.lr,
        batch_size=batch_size,
        adam_beta2=0.95,
        weight_decay=recipe.weight_decay,
        schedule="linear",
        decay_fraction=1.0,
        min_lr_ratio=recipe.min_lr_ratio,
        growth_fraction=0.0,  # all layers are there
        validation_fraction=0.0,  # all of a lesson is taught
        # Documents are short, so windows may be short too. Updates then come more often.
        short_fraction=1.0 if context_length >= _LONG_WINDOW else 0.0,
        warmup_steps=int(_WARMUP_SHARE * steps),
        seed=recipe.seed,
    )


def _trunk(cycle: Cycle) -> Transformer | None:
    """The weights that the cycle before left, if it was of the same course."""
    path = cycle.setup.paths.trunk
    if cycle.course.index == 0 or not path.exists():
        return None
    model, provenance = load_model(path)
    found = provenance.get("evolution_cycle") == cycle.number - 1
    return model.to(cycle.setup.device) if found else None


def _lesson_bytes(cycle: Cycle) -> int:
    return sum(path.stat().st_size for path in cycle.paths.text.iterdir())


def _trained(cycle: Cycle, start: Transformer, recipe: Recipe) -> tuple[Transformer, Weights]:
    """``start`` after one pass over the lesson, and the average of its weights in the last part.
    Goes on from the checkpoints of a run that was killed."""
    setup, output = cycle.setup, cycle.paths.output
    size, context_length = _lesson_bytes(cycle), cycle.champion.config.context_length
    corpus = open_corpus(
        cycle.paths.text,
        output.checkpoints,
        context_length=min(size, context_length),
        heldout=setup.splits.prose["dev"],
    )
    trainer = LocalModelTrainer(
        corpus,
        output.root,
        replace(cycle.champion.config, dropout=0.0),  # needless in one pass over new text
        challenger_config(recipe, size, context_length),
        device=setup.device,
        dtype=setup.dtype,
        console=setup.console,
        fine_tuning=FineTuning(start, cycle.champion, _replay_from(corpus), 1 - _AVERAGED_SHARE),
        resume_from=load_saved_run(output.root, setup.console),
    )
    trained = trainer.train()
    return trained, trainer.averaged_weights() or trained.state_dict()


def _replay_from(corpus: Corpus) -> int:
    """The position at which the replayed text begins in a lesson."""
    sizes = {file.path.name: file.size for file in corpus.scan.files}
    taught = sizes.get(GENERATED_TEXT)
    return 0 if taught is None else taught + 1  # the end of the document


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
