"""The challenger: a copy of the champion, trained on a cycle's lesson.

A fresh optimizer warms up to a rate of its own and decays (arXiv 2403.08763). Of the person's own
text that is replayed the champion's predictions are learnt beside its bytes (arXiv 1606.09282). The
weights of the last quarter are also averaged, and where both harm what the champion can do, mixtures
of the last weights with the champion's (arXiv 2109.01903) are tried too. Dev chooses. Does not know
what the lesson is about.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import TrainingConfig
from h2q.datasets.corpus import ByteStream, Corpus, open_corpus
from h2q.evolution.lesson import GENERATED_TEXT
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import TrainingDiverged
from h2q.system.paths import CHECKPOINT_DIR
from h2q.training.fine_tuning import FineTuning
from h2q.training.trainer import LocalModelTrainer

_MUON_SHARE = 0.6  # of the rate of AdamW
_LONG_WINDOW = 512  # bytes, whose quarter still holds a question with its answer
_WARMUP_SHARE = 0.05  # of the steps
_AVERAGED_SHARE = 0.25  # of the run, its last part
_CHAMPIONS_SHARES = (0.1, 0.2, 0.3)  # of the weights that are a mixture with the champion's


@dataclass(frozen=True)
class Recipe:
    """How a challenger is trained: the champion's own settings but for rate, schedule and decay."""

    base: TrainingConfig
    lr: float
    seed: int
    device: str
    dtype: torch.dtype
    min_lr_ratio: float = 0.0
    weight_decay: float = 0.1  # replayed text comes round often; more than this forgets facts


def challenger_config(recipe: Recipe, size_bytes: int, context_length: int) -> TrainingConfig:
    """Settings for one pass over ``size_bytes`` of text."""
    # Half a batch: a cycle is short, and facts want updates more than they want exact gradients.
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
        # Documents are short: so may windows be, and updates come more often.
        short_fraction=1.0 if context_length >= _LONG_WINDOW else 0.0,
        warmup_steps=int(_WARMUP_SHARE * steps),
        seed=recipe.seed,
    )


def train_challenger(
    champion: Transformer,
    start: Transformer,
    directory: Path,
    dev: ByteStream,
    recipe: Recipe,
    cost: Callable[[Transformer], tuple[float, float]],
    console: Console,
) -> tuple[Transformer, Transformer, dict]:
    """Trains a copy of ``start`` on ``directory``/text, going on from its checkpoints where there
    are some.

    ``cost`` measures on dev the primary measure, and how much worse everything else became: up to
    1 is safe. Returns the challenger, the model as training left it, and what was chosen from what.
    Raises ``TrainingDiverged``.
    """
    text = directory / "text"
    size = sum(path.stat().st_size for path in text.iterdir())
    context_length = champion.config.context_length
    corpus = open_corpus(
        text, directory / CHECKPOINT_DIR, context_length=min(size, context_length), heldout=dev
    )
    trainer = LocalModelTrainer(
        corpus,
        directory,
        replace(champion.config, dropout=0.0),  # in one pass over new text it only costs
        challenger_config(recipe, size, context_length),
        device=recipe.device,
        dtype=recipe.dtype,
        console=console,
        fine_tuning=FineTuning(start, champion, _replay_from(corpus), 1 - _AVERAGED_SHARE),
        resume_from=load_saved_run(directory, console),
    )
    trained = trainer.train()
    last = trained.state_dict()
    averaged = trainer.averaged_weights() or last
    old = champion.state_dict()
    candidates = {"last": last, "averaged": averaged}
    challenger = copy.deepcopy(champion)
    challenger.drafts = trained.drafts
    costs = {name: _cost_of(weights, challenger, cost) for name, weights in candidates.items()}
    for share in _CHAMPIONS_SHARES:
        if any(harm <= 1 for _, harm in costs.values()):
            break
        name = f"mixed {share:.0%}"
        candidates[name] = {key: last[key].lerp(old[key], share) for key in last}
        costs[name] = _cost_of(candidates[name], challenger, cost)
    # The best of the safe ones; where none is, the one that harms least.
    choice = min(costs, key=lambda name: (max(1, costs[name][1]), costs[name][0]))
    challenger.load_state_dict(candidates[choice])
    made = {"choice": choice, "dev_costs": costs, "trained_bytes": size}
    return challenger, trained, made


def _cost_of(weights: dict, model: Transformer, cost) -> tuple[float, float]:
    """``cost`` of ``model`` with these ``weights``, which it keeps."""
    model.load_state_dict(weights)
    values = cost(model)
    if not all(map(math.isfinite, values)):
        raise TrainingDiverged("evolve.not_finite")
    return values


def _replay_from(corpus: Corpus) -> int:
    """Where the replayed text begins in a lesson."""
    sizes = {file.path.name: file.size for file in corpus.scan.files}
    taught = sizes.get(GENERATED_TEXT)
    return 0 if taught is None else taught + 1  # the end of the document
