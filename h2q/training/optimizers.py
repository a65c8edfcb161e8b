"""Which optimizer changes which weight, and how the learning rate runs through training."""

import torch
from torch import Tensor, nn

from h2q.config import TrainingConfig
from h2q.training.muon import Muon

LAYERS = "layers."  # how the names of their weights begin
_QUERY_KEY_VALUE = "query_key_value.weight"  # three matrices in one


class Optimizers:
    """The optimizers of a run, used as one: AdamW for all weights, or Muon for the matrices of
    the layers and AdamW for the rest. Every learning rate is the same share of its peak."""

    def __init__(self, model: nn.Module, config: TrainingConfig, dtype: torch.dtype):
        """``dtype`` is that of the run's matrix products."""
        self._named = dict(model.named_parameters())
        matrices, rest = {}, self._named
        if config.optimizer == "muon":
            matrices = {n: p for n, p in rest.items() if n.startswith(LAYERS) and p.dim() == 2}
            rest = {n: p for n, p in rest.items() if n not in matrices}
        groups = adamw_groups(rest, config.weight_decay)
        betas = (0.9, config.adam_beta2)
        self._optimizers = [torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True)]
        if matrices:
            groups = muon_groups(matrices)
            self._optimizers.append(Muon(groups, config.muon_lr, config.weight_decay, dtype=dtype))
        for group in self._groups():
            group["peak_lr"] = group["lr"]

    def _groups(self) -> list[dict]:
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    @property
    def lr(self) -> float:
        """The learning rate of AdamW, which is the one that is printed and logged."""
        return self._groups()[0]["lr"]

    def set_rate(self, share: float) -> None:
        """Sets every learning rate to ``share`` of its peak."""
        for group in self._groups():
            group["lr"] = group["peak_lr"] * share

    def step(self) -> None:
        """Changes the weights, and forgets the gradients."""
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """What must be saved to go on: tensors by ``weight's name.key``."""
        return {
            f"{name}.{key}": value
            for optimizer in self._optimizers
            for name, parameter in self._named.items()
            for key, value in optimizer.state.get(parameter, {}).items()
        }

    def load_state(self, tensors: dict[str, Tensor], without: tuple[str, ...] = ()) -> None:
        """Takes up what ``state`` gave; weights whose names begin with one of ``without`` had no
        state yet. Raises ``ValueError`` for tensors of other weights."""
        names = {parameter: name for name, parameter in self._named.items()}
        for optimizer in self._optimizers:
            keys = ("momentum_buffer",)
            if isinstance(optimizer, torch.optim.AdamW):
                keys = ("step", "exp_avg", "exp_avg_sq")
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                name = names[parameter]
                if name.startswith(without):
                    continue
                for key in keys:
                    value = tensors.get(f"{name}.{key}")
                    shape = torch.Size() if key == "step" else parameter.shape
                    if value is None or (value.shape, value.dtype) != (shape, torch.float32):
                        raise ValueError(f"{name}.{key}")
                    if key != "step":  # which AdamW keeps on the processor
                        value = value.to(parameter.device)
                    optimizer.state[parameter][key] = value


def adamw_groups(parameters: dict[str, Tensor], weight_decay: float) -> list[dict]:
    """Matrices decay; biases, norms and the embedding, which have no scale to hold down, do not."""
    decayed, free = [], []
    for name, parameter in parameters.items():
        decays = parameter.dim() >= 2 and "embedding" not in name
        (decayed if decays else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def muon_groups(matrices: dict[str, Tensor]) -> list[dict]:
    """The projections to queries, keys and values are three matrices each, the others one."""
    triple = {name: matrix for name, matrix in matrices.items() if name.endswith(_QUERY_KEY_VALUE)}
    single = [matrix for name, matrix in matrices.items() if name not in triple]
    return [{"params": single}, {"params": list(triple.values()), "blocks": 3}]
