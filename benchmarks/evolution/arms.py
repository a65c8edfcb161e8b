"""What the experiments on evolution share: models, a base, plain arms, a meter.

The engine is not here. A plain arm trains a copy of the base, with the engine's own recipe, on text
that is written beforehand. So the arms differ only in their text and in how a model is chosen.
"""

import contextlib
import math
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from h2q.checkpoint.model_file import load_model
from h2q.config import ModelConfig, TrainingConfig
from h2q.datasets.corpus import ByteStream, Corpus, open_corpus
from h2q.evaluation import significance
from h2q.evaluation.held_out import evaluate
from h2q.evolution.documents import own_text
from h2q.evolution.recipe import Recipe, challenger_config
from h2q.model.transformer import Transformer
from h2q.system.device import choose_dtype
from h2q.system.files import write_bytes
from h2q.training.fine_tuning import FineTuning
from h2q.training.trainer import LocalModelTrainer

MODELS = {
    "short": ModelConfig(
        embed_dim=64, n_heads=2, n_layers=2, context_length=128, feedforward_dim=128, dropout=0.0
    ),
    "small": ModelConfig(
        embed_dim=96, n_heads=3, n_layers=3, context_length=256, feedforward_dim=384, dropout=0.0
    ),
    "prototype": ModelConfig(
        embed_dim=128, n_heads=4, n_layers=4, context_length=256, feedforward_dim=768, dropout=0.0
    ),
}
DTYPE = choose_dtype("auto", "cpu")  # of the computation, as in the product
MODEL_PATH = Path("h2q_project") / "h2q_trained_model.pt"
_SIDE_LEVEL = 0.025  # on each side of an interval
FORWARD_COST = 1 / 3  # cost of a byte that is only predicted, relative to one that is trained on


def base_model(
    directory: Path,
    text: Path,
    model: ModelConfig,
    epochs: int,
    seed: int,
    batch_size: int,
    validation_fraction: float = 0.0,
) -> tuple[Corpus, TrainingConfig]:
    """Trains the base below ``directory`` if it is not there; returns its text and settings."""
    corpus = open_corpus(
        text,
        directory / "cache",
        context_length=model.context_length,
        validation_fraction=validation_fraction,
    )
    config = TrainingConfig(
        epochs=epochs,
        lr=5e-3,
        muon_lr=3e-3,
        optimizer="muon",
        adam_beta2=0.95,
        batch_size=batch_size,
        seed=seed,
        schedule="linear",
        warmup_steps=20,
        decay_fraction=0.7,
        validation_fraction=validation_fraction,  # none, where the results were recorded without
    )
    if not (directory / MODEL_PATH).exists():
        LocalModelTrainer(corpus, directory, model, config, dtype=DTYPE).train()
    return corpus, config


def train_on(
    champion: Transformer,
    texts: list[str],
    directory: Path,
    dev: ByteStream,
    base: TrainingConfig,
    lr: float,
    seed: int,
) -> Transformer:
    """``champion`` after training once on ``texts``, shuffled, below ``directory``, with the
    recipe of a challenger: its last weights, whose loss on ``dev`` is only shown."""
    random.Random(f"arm {seed}").shuffle(texts)
    write_bytes(directory / "text" / "arm.txt", "\n\n".join(texts).encode() + b"\n")
    context_length = champion.config.context_length
    corpus = open_corpus(
        directory / "text", directory / "cache", context_length=context_length, heldout=dev
    )
    recipe = Recipe(base, lr, seed)
    config = challenger_config(recipe, len(corpus.train), context_length)
    trainer = LocalModelTrainer(
        corpus, directory, champion.config, config, dtype=DTYPE, fine_tuning=FineTuning(champion)
    )
    return trainer.train()


def replay(corpus: Corpus, size_bytes: float, seed: int) -> list[str]:
    return own_text(corpus.train, size_bytes, seed)


def copy_base(base: Path, directory: Path) -> None:
    """Gives an arm its own copy of the base model, where it has none yet."""
    path = directory / MODEL_PATH
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(base / MODEL_PATH, path)


def champion_of(directory: Path) -> Transformer:
    return load_model(directory / MODEL_PATH)[0]


def put_away(path: Path, out: Path, context_length: int) -> tuple[str, ByteStream]:
    """The text in ``path`` without its last tenth, and that tenth, which only the report sees."""
    text = path.read_text(encoding="utf-8")
    cut = len(text) * 9 // 10
    report = out / "report"
    write_bytes(report / "report.txt", text[cut:].encode("utf-8"))
    corpus = open_corpus(report, out / "cache", context_length=context_length, eval_path=report)
    return text[:cut], corpus.heldout


def measure_prose(model: Transformer, report: ByteStream) -> dict:
    """Losses on all of ``report``, with sums (nats) and counts (bytes) by window."""
    measured = evaluate(model, report, limit_bytes=len(report) + 1)
    return {
        "bits_per_byte": measured.bits_per_byte,
        "sums": measured.sums.tolist(),
        "counts": measured.counts.tolist(),
    }


def prose_difference(first: list[dict], other: list[dict]) -> significance.Difference:
    """Bits per byte of ``first`` less ``other`` with a 95 % interval, paired by window of the
    report over all of them."""
    sums = [np.concatenate([row["sums"] for row in rows]) / math.log(2) for rows in (first, other)]
    counts = np.concatenate([row["counts"] for row in first])
    windows = np.concatenate([np.arange(len(row["sums"])) for row in first])
    return significance.paired_difference(*sums, counts, windows, _SIDE_LEVEL)


@contextlib.contextmanager
def metered():
    """Yields a dictionary whose ``bytes`` counts what models predict without learning from it."""
    counted = {"bytes": 0}

    def count(module, inputs):
        if isinstance(module, Transformer) and not torch.is_grad_enabled():
            counted["bytes"] += inputs[0].numel()

    handle = register_module_forward_pre_hook(count)
    try:
        yield counted
    finally:
        handle.remove()


def one_thread() -> None:
    torch.set_num_threads(1)


def note(*what) -> None:
    print(*what, file=sys.stderr, flush=True)
