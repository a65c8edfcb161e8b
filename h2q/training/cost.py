"""What a run would cost, measured on a few steps of it. Nothing is written."""

import itertools
import statistics
import time

from h2q.training.trainer import LocalModelTrainer


def time_steps(trainer: LocalModelTrainer, count: int) -> float:
    """Mean seconds of a step of the run, from the median of ``count`` steps after a first one.

    Only for a trainer that is not used afterwards: the steps change its weights.
    """
    schedule, position = trainer.schedule, trainer.position
    cost = schedule.mean_depth(position.progress) / len(trainer.model.layers)
    # The first step is like those at the end of the run, with all layers: these need most memory.
    position.progress = 1.0
    schedule.train_all_layers()
    seconds = []
    for batch in itertools.islice(itertools.cycle(trainer.batches(epoch=0)), count + 1):
        started = time.monotonic()
        trainer.train_step(*batch)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds[1:]) * cost


def checkpoint_bytes(trainer: LocalModelTrainer) -> int:
    """About the size of a checkpoint on disk. Before the first step the optimizers hold nothing."""
    return sum(tensor.nbytes for tensor in trainer.tensors().for_file().values())
