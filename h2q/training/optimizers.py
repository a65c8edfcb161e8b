"""Which optimizer changes which weight, with which settings.

Does not know when the learning rate changes: that is for ``schedule``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from h2q.checkpoint.container import Tensors
from h2q.config import TrainingConfig
from h2q.training.muon import Muon

_LAYERS = "layers."  # how the names of the layers' weights begin
_QUERY_KEY_VALUE = "query_key_value.weight"  # three matrices in one


class Optimizers:
    """The optimizers of a run, used as one: AdamW for all weights, or Muon for the matrices of the
    layers and AdamW for the rest. All learning rates are the same share of their peaks."""

    def __init__(self, model: nn.Module, config: TrainingConfig, dtype: torch.dtype):
        """``dtype`` is that of the run's matrix products."""
        self._named: dict[str, nn.Parameter] = dict(model.named_parameters())
        matrices: dict[str, nn.Parameter] = {}
        if config.optimizer == "muon":
            matrices = {
                name: parameter
                for name, parameter in self._named.items()
                if name.startswith(_LAYERS) and parameter.dim() == 2
            }
        rest = {name: p for name, p in self._named.items() if name not in matrices}
        groups = adamw_groups(rest, config.weight_decay)
        betas = (0.9, config.adam_beta2)
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True)
        ]
        if matrices:
            groups = muon_groups(matrices)
            self._optimizers.append(Muon(groups, config.muon_lr, config.weight_decay, dtype=dtype))
        for group in self._groups():
            group["peak_lr"] = group["lr"]

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    @property
    def lr(self) -> float:
        """The learning rate of AdamW, which is the one that is printed and logged."""
        lr: float = self._groups()[0]["lr"]
        return lr

    def set_rate(self, share: float) -> None:
        """Sets every learning rate to ``share`` of its peak."""
        for group in self._groups():
            group["lr"] = group["peak_lr"] * share

    def step(self) -> None:
        """Updates the weights, and removes the gradients."""
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> Tensors:
        """What must be saved to go on: tensors by ``weight's name.key``."""
        return {
            f"{name}.{key}": value
            for optimizer in self._optimizers
            for name, parameter in self._named.items()
            for key, value in optimizer.state.get(parameter, {}).items()
        }

    def load_state(self, state: Tensors, depth: int) -> None:
        """Restores a ``state`` in which the first ``depth`` layers had been trained; the others had
        none yet. Raises ``ValueError`` for the state of other weights."""
        names = {parameter: name for name, parameter in self._named.items()}
        for optimizer in self._optimizers:
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                name = names[parameter]
                if not name.startswith(_LAYERS) or _layer(name) < depth:
                    optimizer.state[parameter] = _state_of(optimizer, name, parameter, state)


def trained_depth(state: Tensors) -> int:
    """How many layers had been trained when ``Optimizers`` had this ``state``."""
    return len({name.split(".")[1] for name in state if name.startswith(_LAYERS)})


def _layer(name: str) -> int:
    """The number of the layer, from 0, that a weight called ``name`` belongs to."""
    return int(name.split(".")[1])


def _state_of(
    optimizer: torch.optim.Optimizer, name: str, parameter: nn.Parameter, state: Tensors
) -> Tensors:
    """The part of ``state`` that ``optimizer`` keeps of one weight. Raises ``ValueError`` if a
    tensor is missing or has another shape or type."""
    is_adamw = isinstance(optimizer, torch.optim.AdamW)
    kept = {}
    for key in ("step", "exp_avg", "exp_avg_sq") if is_adamw else ("momentum_buffer",):
        value = state.get(f"{name}.{key}")
        shape = torch.Size() if key == "step" else parameter.shape
        if value is None or (value.shape, value.dtype) != (shape, torch.float32):
            raise ValueError(f"{name}.{key}")
        # The number of steps stays on the processor, as AdamW has it.
        kept[key] = value if key == "step" else value.to(parameter.device)
    return kept


def adamw_groups(parameters: Mapping[str, Tensor], weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: matrices, which decay, and biases, norms and the embedding, which do not."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in parameters.items():
        decays = parameter.dim() >= 2 and "embedding" not in name
        (decayed if decays else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def muon_groups(matrices: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Two groups: single matrices, and the projections to queries, keys and values, which are three
    matrices each."""
    triple = {name: matrix for name, matrix in matrices.items() if name.endswith(_QUERY_KEY_VALUE)}
    single = [matrix for name, matrix in matrices.items() if name not in triple]
    return [{"params": single}, {"params": list(triple.values()), "blocks": 3}]
