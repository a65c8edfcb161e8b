"""Muon: momentum whose every matrix is made orthogonal before it is added to the weights.

The method is ``torch.optim.Muon``'s (Keller Jordan et al., https://kellerjordan.github.io/posts/muon/,
scaled as in arXiv 2502.16982). Here the matrices of one shape are orthogonalised together: on a
processor, a third of the time goes into products too small to use it otherwise.
"""

from collections import defaultdict

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic, from the same source
_ITERATIONS = 5
_RMS = 0.2  # of an update's elements at a learning rate of 1: what AdamW's usually have


class Muon(torch.optim.Optimizer):
    """Updates weights (out, in). Weights of a group with ``blocks`` > 1 are that many matrices
    one above the other, each orthogonalised by itself."""

    def __init__(
        self,
        groups: list[dict],
        lr: float,
        weight_decay: float,
        *,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ):
        """``dtype`` is that of the orthogonalisation; weights and momentum stay float32."""
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "blocks": 1}
        super().__init__(groups, defaults)
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:
        by_shape = defaultdict(list)  # of the matrices, lying: (update, part of the weight, group)
        for group in self.param_groups:
            weights = group["params"]
            gradients = [weight.grad for weight in weights]
            momenta = [
                self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
                for weight in weights
            ]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            updates = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov's
            for weight, update in zip(weights, updates):
                parts = zip(update.chunk(group["blocks"]), weight.chunk(group["blocks"]))
                for update_part, weight_part in parts:
                    if update_part.shape[0] > update_part.shape[1]:
                        update_part, weight_part = update_part.t(), weight_part.t()
                    by_shape[update_part.shape].append((update_part, weight_part, group))
        for shape, matrices in by_shape.items():
            updates = orthogonalize(torch.stack([update for update, _, _ in matrices]), self.dtype)
            for update, (_, weight, group) in zip(updates, matrices):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * _RMS * max(shape) ** 0.5)


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest matrices with orthonormal rows, about: (n, r, c) with r ≤ c, computed in
    ``dtype``. Singular values end between 0.7 and 1.2 (the Newton–Schulz iteration of the source).
    """
    a, b, c = _COEFFICIENTS
    x = matrices.to(dtype)
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)
