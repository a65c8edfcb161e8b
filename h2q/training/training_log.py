"""What ``training_log.json`` says of a run: one entry an epoch, and the points of its curve.

The names of the values are in ``saved_run``, because checkpoints hold the log too.
"""

from h2q.checkpoint.saved_run import CurvePoint, LogEntry, Position
from h2q.evaluation.held_out import Evaluation, perplexity


def log_entry(
    position: Position, evaluation: Evaluation, with_memory: Evaluation | None, lr: float
) -> LogEntry:
    """The entry of the epoch that ends at ``position``, at the learning rate ``lr``: what was
    measured of the model alone, and of the model with its memory if it has one."""
    train_loss = position.loss_sum / position.loss_bytes
    entry: LogEntry = {
        "epoch": position.epoch + 1,
        "step": position.step,
        "train_loss": train_loss,
        "train_perplexity": perplexity(train_loss),
        "eval_loss": evaluation.loss,
        "eval_perplexity": evaluation.perplexity,
        "eval_bits_per_byte": evaluation.bits_per_byte,
        "eval_bytes": evaluation.predicted_bytes,
        "learning_rate": lr,
        "tokens_per_second": position.bytes_per_second,
        "seconds": position.seconds,
        "curve": position.curve,
    }
    if with_memory is not None:
        entry["memory_eval_loss"] = with_memory.loss
        entry["memory_eval_bits_per_byte"] = with_memory.bits_per_byte
    return entry


def curve_point(position: Position, loss: float, lr: float) -> CurvePoint:
    """The point after the step that led to ``position``, with the ``loss`` of its batch; ``lr`` is
    the learning rate of the next step."""
    return {
        "step": position.step,
        "loss": loss,
        "learning_rate": lr,
        "seconds": position.seconds,
        "tokens_per_second": position.bytes_per_second,
    }
