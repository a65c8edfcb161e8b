"""AdamW and the cosine learning rate of the README (训练优化)."""

import math

import torch
from torch.optim.lr_scheduler import LambdaLR

from h2q.config import TrainingConfig


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; biases, norms and the embedding, which have no scale to hold down, do not."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        decays = parameter.dim() >= 2 and "embedding" not in name
        (decayed if decays else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def build_optimizer(model: torch.nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) at ``config.lr``, one fused kernel a step."""
    return torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.lr, fused=True)


def cosine_factor(step: int, total_steps: int) -> float:
    """Share of the peak rate after ``step`` steps: 1 at 0, 0 at the end (arXiv 1608.03983)."""
    return 0.5 * (1.0 + math.cos(math.pi * min(step, total_steps) / total_steps))


def build_schedule(optimizer: torch.optim.Optimizer, total_steps: int, done: int = 0) -> LambdaLR:
    """Cosine annealing to 0 over ``total_steps``, with ``done`` of them behind.

    The rate depends on the number of steps alone, so the schedule has no state to save.
    """
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return LambdaLR(optimizer, lambda step: cosine_factor(step, total_steps), last_epoch=done - 1)
