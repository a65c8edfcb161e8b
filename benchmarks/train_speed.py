"""Tokens a second of a whole training step: ours beside the README taken literally.

    python benchmarks/train_speed.py [--repeats 5] [--steps 3] [--json FILE]

All train the README's model (about 8M parameters, batch 8 × 512) on the same random batches with
the same number of threads: forward, backward, clipping, AdamW. They take turns in one run, so that
a machine whose speed drifts slows all of them; medians over the repeats and ratios are what counts.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from h2q.config import ModelConfig, TrainingConfig
from h2q.corpus import open_corpus
from h2q.hardware import choose_dtype
from h2q.knowledge import create_sample_text
from h2q.trainer import LocalModelTrainer

CONFIG = ModelConfig()
BATCH_SIZE = 8
BASELINE = "nn.TransformerEncoder float32"


class LiteralEncoder(nn.Module):
    """The README's TransformerEncoder(...) as PyTorch has it, with the causal mask it needs."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(256, 256)
        layer = nn.TransformerEncoderLayer(256, 8, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6)
        self.output = nn.Linear(256, 256)
        mask = nn.Transformer.generate_square_subsequent_mask(CONFIG.context_length)
        self.register_buffer("mask", mask)

    def forward(self, tokens):
        hidden = self.encoder(self.embedding(tokens), mask=self.mask, is_causal=True)
        return self.output(hidden)


def literal_step(dtype: torch.dtype):
    """A function that makes one update of a ``LiteralEncoder`` on a batch (B, T)."""
    model = LiteralEncoder().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(inputs, targets):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = model(inputs)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def our_step(directory: Path, dtype: torch.dtype):
    """The step of ``LocalModelTrainer``, as ``--mode train`` runs it."""
    create_sample_text(directory / "text")
    corpus = open_corpus(directory / "text", directory, context_length=CONFIG.context_length)
    return LocalModelTrainer(corpus, directory, CONFIG, TrainingConfig(), dtype=dtype).train_step


def measure(steps: dict, repeats: int, steps_a_turn: int) -> dict[str, list[float]]:
    """Tokens a second of each contestant in each repeat; the first turn is not counted."""
    generator = torch.Generator().manual_seed(0)
    rates = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        shape = (steps_a_turn, BATCH_SIZE, CONFIG.context_length + 1)
        tokens = torch.randint(1, 256, shape, generator=generator)
        for name, step in steps.items():
            started = time.perf_counter()
            for batch in tokens:
                step(batch[:, :-1], batch[:, 1:])
            seconds = time.perf_counter() - started
            if repeat:
                rates[name].append(steps_a_turn * BATCH_SIZE * CONFIG.context_length / seconds)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each contestant a repeat")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        contestants = {
            BASELINE: literal_step(torch.float32),
            "nn.TransformerEncoder bfloat16": literal_step(torch.bfloat16),
            "h2q float32": our_step(Path(directory), torch.float32),
        }
        if choose_dtype("auto", "cpu") == torch.bfloat16:
            contestants["h2q bfloat16"] = our_step(Path(directory), torch.bfloat16)
        rates = measure(contestants, arguments.repeats, arguments.steps)
    baseline = statistics.median(rates[BASELINE])
    print(f"{'':32}{'median':>10}{'least':>10}{'most':>10}{'ratio':>8}   (tokens/s)")
    for name, values in rates.items():
        median = statistics.median(values)
        print(
            f"{name:32}{median:10.0f}{min(values):10.0f}{max(values):10.0f}{median / baseline:8.2f}"
        )
    if arguments.json:
        report = {
            "machine": platform.machine(),
            "processor": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "tokens_per_second": rates,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
