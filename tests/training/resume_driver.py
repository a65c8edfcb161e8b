"""Trains a tiny model and, when asked, kills itself at a step as kill -9 would.

    python resume_driver.py PRESET TEXT OUTPUT [--resume] [--kill-after STEP] [--save-every-step]

Run by ``test_resume.py``; the preset decides how it is trained. Dropout is on and the precision is
the one a person gets (bfloat16 where the processor has it), so that everything random and
everything rounded takes part.
"""

import argparse
import os
import signal
from dataclasses import replace
from pathlib import Path

from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import PRESETS, ModelConfig, SamplingConfig
from h2q.datasets.corpus import open_corpus
from h2q.system.console import Console
from h2q.system.device import choose_dtype
from h2q.training import progress as module
from h2q.training.trainer import LocalModelTrainer

parser = argparse.ArgumentParser()
parser.add_argument("preset", choices=PRESETS)
parser.add_argument("text", type=Path)
parser.add_argument("output", type=Path)
parser.add_argument("--resume", action="store_true")
parser.add_argument("--kill-after", type=int)
parser.add_argument("--save-every-step", action="store_true")
arguments = parser.parse_args()

model_config = ModelConfig(
    embed_dim=32, n_heads=2, n_layers=2, context_length=64, feedforward_dim=64
)
training_config = replace(
    PRESETS[arguments.preset].training,
    epochs=3,
    lr=1e-3,
    save_interval_seconds=0.0 if arguments.save_every_step else 1e9,
)
module._SAMPLE = SamplingConfig(max_length=8)  # one is shown at each save; a whole one takes longer
trainer = LocalModelTrainer(
    open_corpus(
        arguments.text,
        arguments.output / "cache",
        context_length=64,
        validation_fraction=training_config.validation_fraction,
    ),
    arguments.output,
    model_config,
    training_config,
    dtype=choose_dtype("auto", "cpu"),
    resume_from=load_saved_run(arguments.output, Console()) if arguments.resume else None,
)
step = trainer.train_step


def step_and_die(*batch):
    loss = step(*batch)
    if trainer.position.step == arguments.kill_after:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss


trainer.train_step = step_and_die
trainer.train()
