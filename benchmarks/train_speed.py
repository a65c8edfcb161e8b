"""Speed of a training step in tokens a second: ours, beside what a user would write instead.

    python benchmarks/train_speed.py [--repeats 5] [--steps 3] [--json FILE]

All train the README's model (about 8M parameters, batch 8 × 512) on the same random batches with
the same number of threads: batch, forward, backward, clipping, AdamW. The peers are the README
taken literally (``nn.TransformerEncoder`` with a causal mask) and the GPT-2 of ``transformers`` at
the same size (extra ``bench``). Each peer runs with the memory allocator's default settings and,
marked ``kept``, with the settings of our training. The ceiling is the rate of a training step that
did nothing but the matrix products of the model's shapes on this machine. Where the processor has
no instructions for bfloat16, a step in bfloat16 takes PyTorch minutes, so only float32 is measured.
"""

import argparse
import functools
import importlib.util
import tempfile
from pathlib import Path

import torch
from torch import nn

import turns
from h2q.config import ModelConfig, TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.datasets.sample_text import create_sample_text
from h2q.system.device import choose_dtype, keep_freed_memory
from h2q.training.trainer import LocalModelTrainer

CONFIG = ModelConfig()
BATCH_SIZE = 8
BASELINE = "nn.TransformerEncoder float32"
TOKENS = BATCH_SIZE * CONFIG.context_length


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


def gpt2() -> nn.Module:
    """The GPT-2 of ``transformers`` with the README's dimensions and its own dropout of 0.1."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=512, n_embd=256, n_layer=6, n_head=8, n_inner=2048,
            tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip


def peer(build, dtype: torch.dtype, kept: bool, steps: int):
    """Turns of a peer's training loop."""
    if kept:
        keep_freed_memory()
    torch.manual_seed(0)
    model = build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(inputs, targets):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = model(inputs)
        logits = output if isinstance(output, torch.Tensor) else output.logits
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return training_turn(step, steps)


def ours(dtype: torch.dtype, steps: int):
    """Turns of ``LocalModelTrainer``, as ``--mode train`` runs it."""
    directory = Path(tempfile.mkdtemp(prefix="h2q-bench-"))
    create_sample_text(directory / "text")
    config = TrainingConfig()
    corpus = open_corpus(
        directory / "text",
        directory,
        context_length=CONFIG.context_length,
        validation_fraction=config.validation_fraction,
    )
    trainer = LocalModelTrainer(corpus, directory, CONFIG, config, dtype=dtype)
    return training_turn(trainer.train_step, steps)


def training_turn(step, steps: int):
    generator = torch.Generator().manual_seed(0)

    def turn() -> int:
        for _ in range(steps):
            shape = (BATCH_SIZE, CONFIG.context_length + 1)
            batch = torch.randint(1, 256, shape, generator=generator)
            step(batch[:, :-1], batch[:, 1:])
        return steps * TOKENS

    return turn


def products(dtype: torch.dtype, steps: int):
    """Turns of the matrix products of the linear layers alone, forward and backward.

    The amount is the number of tokens that could be trained at this rate of arithmetic.
    """
    keep_freed_memory()
    width, hidden = CONFIG.embed_dim, CONFIG.feedforward_dim
    shapes = [(width, 3 * width), (width, width), (width, hidden), (hidden, width)]
    shapes = shapes * CONFIG.n_layers + [(width, CONFIG.vocab_size)]
    random = functools.partial(torch.randn, dtype=dtype)
    layers = [(random(TOKENS, i), random(o, i), random(TOKENS, o)) for i, o in shapes]
    matrix_flops = sum(2 * 3 * i * o for i, o in shapes)  # a token: forward, both gradients
    attention_flops = 3 * CONFIG.n_layers * 2 * 2 * CONFIG.context_length * width // 2  # causal

    def turn() -> float:
        for _ in range(steps):
            for x, weight, gradient in layers:
                x @ weight.t()
                gradient @ weight
                gradient.t() @ x
        return steps * TOKENS * matrix_flops / (matrix_flops + attention_flops)

    return turn


def contestants(steps: int) -> dict:
    found = {}
    dtypes = list(dict.fromkeys((torch.float32, choose_dtype("auto", "cpu"))))
    peers = {"nn.TransformerEncoder": LiteralEncoder}
    if importlib.util.find_spec("transformers"):
        peers["transformers GPT-2"] = gpt2
    else:
        print("transformers is not installed: pip install -e '.[bench]' adds its GPT-2")
    for name, build in peers.items():
        for dtype in dtypes:
            label = f"{name} {_name(dtype)}"
            found[label] = functools.partial(peer, build, dtype, False, steps)
            found[f"{label}, kept"] = functools.partial(peer, build, dtype, True, steps)
    for dtype in dtypes:
        found[f"h2q {_name(dtype)}"] = functools.partial(ours, dtype, steps)
    best = dtypes[-1]
    found[f"ceiling {_name(best)}"] = functools.partial(products, best, steps)
    return found


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each contestant a repeat")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = turns.take_turns(contestants(arguments.steps), arguments.repeats)
    turns.print_table(results, BASELINE, "tokens/s")
    turns.write_report(arguments.json, tokens_per_second=results)


if __name__ == "__main__":
    main()
