"""A trained model as a file: weights, configuration and provenance, in and out.

This is ``h2q_project/h2q_trained_model.pt``. The container and its checks are ``checkpoint``'s.
"""

from pathlib import Path

import torch

from h2q import checkpoint
from h2q.config import ModelConfig, from_dict
from h2q.errors import ModelFileError, SettingError
from h2q.model import Transformer

KIND = "model"


def save_model(path: Path, model: Transformer, provenance: dict) -> None:
    """Writes the weights, the model's configuration and JSON-able ``provenance`` to ``path``."""
    metadata = {"kind": KIND, "model": vars(model.config), "provenance": provenance}
    checkpoint.save(path, model.state_dict(), metadata)


def load_model(path: Path) -> tuple[Transformer, dict]:
    """The model in ``path``, in evaluation mode, and its provenance.

    Raises ``ModelFileError`` when the file is not a trained model of H2Q-Evo, or its weights do
    not fit its configuration. No untrained weight is ever put in place of a missing one.
    """
    tensors, metadata = checkpoint.load(path)
    provenance = metadata.get("provenance")
    if metadata.get("kind") != KIND or not isinstance(provenance, dict):
        raise ModelFileError("model.foreign", path=path)
    config = read_model_config(metadata, path)
    return build_model(config, tensors, path).eval(), provenance


def read_model_config(metadata: dict, path: Path) -> ModelConfig:
    """The configuration in the ``metadata`` of ``path``; ``ModelFileError`` when it is not one."""
    values = metadata.get("model")
    if not isinstance(values, dict):
        raise ModelFileError("model.foreign", path=path)
    try:
        return from_dict(ModelConfig, values)
    except SettingError as error:
        raise ModelFileError("model.config", path=path, reason=error) from error


def build_model(config: ModelConfig, tensors: checkpoint.Tensors, path: Path) -> Transformer:
    """A model with the weights ``tensors``, which came from ``path``.

    Names, shapes and types are compared before anything is allocated. Raises ``ModelFileError``
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
