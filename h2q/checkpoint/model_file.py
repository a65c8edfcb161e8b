"""A trained model as a file: weights, configuration and provenance, saved and loaded.

This is ``h2q_project/h2q_trained_model.pt``. Does not know how a file is written and verified
(``container``).
"""

from pathlib import Path
from typing import Any

import torch

from h2q.checkpoint import container
from h2q.config import ModelConfig, from_dict
from h2q.memory.mixture import Memory
from h2q.memory.table import TableError
from h2q.model.transformer import Transformer
from h2q.system.errors import ModelFileError, SettingError

KIND = "model"
_MEMORY = "memory."  # how the names of the memory's arrays begin; a file may lack them
_DRAFTS = "drafts"  # a table of n-grams in older files, which only made writing faster


def save_model(path: Path, model: Transformer, provenance: dict[str, Any]) -> None:
    """Writes weights, memory and configuration of ``model`` to ``path``, with ``provenance``.

    ``provenance`` says where the model comes from, in values that JSON can hold. Raises
    ``SaveFailed``; the old file, if any, is then as it was.
    """
    metadata = {"kind": KIND, "model": vars(model.config), "provenance": provenance}
    tensors = model.state_dict()
    if model.memory is not None:
        for name, array in model.memory.arrays().items():
            tensors[_MEMORY + name] = torch.from_numpy(array)
    container.save(path, tensors, metadata)


def load_model(path: Path) -> tuple[Transformer, dict[str, Any]]:
    """The model in ``path``, in evaluation mode, and its provenance.

    Raises ``ModelFileError`` when the file is not a trained model of H2Q-Evo, or its weights do
    not fit its configuration. A missing weight is never replaced by an untrained one.
    """
    tensors, metadata = container.load(path)
    provenance = metadata.get("provenance")
    if metadata.get("kind") != KIND or not isinstance(provenance, dict):
        raise ModelFileError("model.foreign", path=path)
    config = read_model_config(metadata, path)
    tensors.pop(_DRAFTS, None)
    memory = _read_memory(tensors, path)
    model = build_model(config, tensors, path).eval()
    model.memory = memory
    return model, provenance


def _read_memory(tensors: container.Tensors, path: Path) -> Memory | None:
    """Takes the memory out of ``tensors``; None where there is none. Raises ``ModelFileError`` where
    its counts are no counts."""
    names = [name for name in tensors if name.startswith(_MEMORY)]
    arrays = {name.removeprefix(_MEMORY): tensors.pop(name) for name in names}
    if not arrays:
        return None
    if any(array.dtype != torch.uint8 or array.dim() != 1 for array in arrays.values()):
        raise ModelFileError("model.memory", path=path)
    try:
        return Memory.from_arrays({name: array.numpy() for name, array in arrays.items()})
    except TableError as error:
        raise ModelFileError("model.memory", path=path) from error


def read_model_config(metadata: dict[str, Any], path: Path) -> ModelConfig:
    """The configuration in the ``metadata`` of ``path``; ``ModelFileError`` when it is not one."""
    values = metadata.get("model")
    if not isinstance(values, dict):
        raise ModelFileError("model.foreign", path=path)
    try:
        config: ModelConfig = from_dict(ModelConfig, values)
    except SettingError as error:
        raise ModelFileError("model.config", path=path, reason=error) from error
    return config


def build_model(config: ModelConfig, tensors: container.Tensors, path: Path) -> Transformer:
    """A model with the weights ``tensors``, which were read from ``path`` and are not copied.

    Names, shapes and types are compared before memory is allocated. Raises ``ModelFileError``
    when they do not fit ``config``.
    """
    with torch.device("meta"):
        model = Transformer(config)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != expected or any(tensor.dtype != torch.float32 for tensor in tensors.values()):
        raise ModelFileError("model.dimensions", path=path)
    model.load_state_dict(tensors, assign=True)
    return model.requires_grad_(True)
