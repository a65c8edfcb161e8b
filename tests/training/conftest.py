"""What the tests of training share: a tiny run, how to resume it, and a clock that steps move."""

from dataclasses import replace

import pytest

from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import ModelConfig, SamplingConfig, TrainingConfig
from h2q.datasets.corpus import open_corpus
from h2q.system.console import Console
from h2q.training.trainer import LocalModelTrainer

CONFIG = TrainingConfig(epochs=2, lr=1e-3, validation_fraction=0.0)
GROWING = replace(CONFIG, growth_fraction=0.5)
DEEP = ModelConfig(
    embed_dim=32, n_heads=2, n_layers=5, context_length=64, feedforward_dim=64, dropout=0.0
)


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    """A sample is shown at each save; a whole one takes as long as 15 steps of a tiny model."""
    monkeypatch.setattr("h2q.training.progress._SAMPLE", SamplingConfig(max_length=4))


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


@pytest.fixture
def make_trainer(corpus, tmp_path, tiny_model_config):
    def make(config=CONFIG, output="out", **options):
        options = {"corpus": corpus, "model_config": tiny_model_config, **options}
        return LocalModelTrainer(output_dir=tmp_path / output, training_config=config, **options)

    return make


def resume(make_trainer, tmp_path, config=CONFIG, **options):
    saved = load_saved_run(tmp_path / "out", Console(silent=True))
    return make_trainer(config, resume_from=saved, **options)


@pytest.fixture
def interrupted(make_trainer, tmp_path):
    """A run of 2 epochs that ended after the first."""
    trainer = make_trainer()
    trainer._train_epoch(lambda: False, lambda: None)
    trainer._finish_epoch(lambda: False)
    return tmp_path / "out"


def recorded_losses(trainer):
    """Trains, and returns the loss of each step."""
    step, losses = trainer.train_step, []

    def record(*batch):
        losses.append(step(*batch))
        return losses[-1]

    trainer.train_step = record
    trainer.train()
    return losses


def ruined_after(trainer, epochs):
    """Makes the held-out loss rise after that many epochs."""
    step = trainer.train_step

    def ruin(*batch):
        loss = step(*batch)
        if trainer.position.epoch >= epochs:
            trainer.model.output.weight.data.mul_(1.3)
        return loss

    trainer.train_step = ruin
    return trainer


class Clock:
    """A clock that moves only when a step is made."""

    def __init__(self, monkeypatch, trainer, step_seconds):
        self.now, self.rates, self.durations = 0.0, [], iter(step_seconds)
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        trainer._clock = 0.0
        self.step, self.trainer = trainer.train_step, trainer
        trainer.train_step = self

    def __call__(self, *batch):
        self.rates.append(self.trainer.optimizers.lr)
        self.now += next(self.durations)
        return self.step(*batch)
