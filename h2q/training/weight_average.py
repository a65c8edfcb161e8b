"""The mean of a model's weights over many steps (stochastic weight averaging, arXiv 1803.05407)."""

import torch

from h2q.checkpoint.container import Tensors

# The key in a saved state for the number of steps in the sums; no weight has this name.
_STEPS = "steps"


class WeightAverage:
    """Sums up weights, and gives their mean."""

    def __init__(self) -> None:
        self._sums: Tensors = {}
        self._steps = 0

    @torch.no_grad()
    def add(self, weights: Tensors) -> None:
        """Adds ``weights`` as they are now. Their names must be the same each time."""
        for name, weight in weights.items():
            if name in self._sums:
                self._sums[name] += weight
            else:
                self._sums[name] = weight.clone()
        self._steps += 1

    def mean(self) -> Tensors | None:
        """The mean of all weights added; None if there were none."""
        if not self._sums:
            return None
        return {name: total / self._steps for name, total in self._sums.items()}

    def state(self) -> Tensors:
        """What must be saved to go on: the sums, not copied, and the number of steps in them. Empty
        if there are none."""
        if not self._sums:
            return {}
        return {**self._sums, _STEPS: torch.tensor(self._steps)}

    def load_state(self, state: Tensors, weights: Tensors) -> None:
        """Restores a ``state``, for a model whose weights are ``weights`` and on their devices.

        Raises ``ValueError`` for the state of another model.
        """
        if not state:
            return
        sums = dict(state)
        steps = int(sums.pop(_STEPS, torch.tensor(0)))
        shapes = {name: weight.shape for name, weight in weights.items()}
        if steps < 1 or shapes != {name: total.shape for name, total in sums.items()}:
            raise ValueError("average")
        self._sums = {name: total.to(weights[name].device) for name, total in sums.items()}
        self._steps = steps
