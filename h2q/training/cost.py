"""What a run would cost, measured on a few steps of it. Nothing is written."""

import itertools
import statistics
import time

from h2q.training.trainer import LocalModelTrainer


def time_steps(trainer: LocalModelTrainer, count: int) -> float:
    """Seconds that the mean step of the run takes, from the median of ``count``, after a first one.

    Only for a run that is not made: it changes the weights.
    """
    schedule, position = trainer.schedule, trainer.position
    cost = schedule.mean_depth(position.progress) / len(trainer.model.layers)
    # The first step is one of the end of the run, with all layers: it needs the most memory.
    position.progress = 1.0
    schedule.train_all_layers()
    seconds = []
    for batch in itertools.islice(itertools.cycle(trainer.batches(epoch=0)), count + 1):
        started = time.monotonic()
        trainer.train_step(*batch)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds[1:]) * cost


def checkpoint_bytes(trainer: LocalModelTrainer) -> int:
    """What a checkpoint takes on disk, nearly; the optimizers' share is there after a step."""
    return sum(tensor.nbytes for tensor in trainer.tensors().for_file().values())
