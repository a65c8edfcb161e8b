"""A trained model as a file: weights, configuration and provenance, in and out.

This is ``h2q_project/h2q_trained_model.pt``. The container and its checks are ``checkpoint``'s.
"""

from pathlib import Path

import torch

from h2q.checkpoint import container
from h2q.config import ModelConfig, from_dict
from h2q.model.ngram import TABLE_COLUMNS, TABLE_ROWS
from h2q.model.transformer import Transformer
from h2q.system.errors import ModelFileError, SettingError

KIND = "model"
DRAFTS = "drafts"  # a tensor beside the weights; files without it are as good


def save_model(path: Path, model: Transformer, provenance: dict) -> None:
    """Writes weights, drafts, the model's configuration and JSON-able ``provenance`` to ``path``."""
    metadata = {"kind": KIND, "model": vars(model.config), "provenance": provenance}
    tensors = model.state_dict()
    if model.drafts is not None:
        tensors[DRAFTS] = model.drafts
    container.save(path, tensors, metadata)


def load_model(path: Path) -> tuple[Transformer, dict]:
    """The model in ``path``, in evaluation mode, and its provenance.

    Raises ``ModelFileError`` when the file is not a trained model of H2Q-Evo, or its weights do
    not fit its configuration. No untrained weight is ever put in place of a missing one.
    """
    tensors, metadata = container.load(path)
    provenance = metadata.get("provenance")
    if metadata.get("kind") != KIND or not isinstance(provenance, dict):
        raise ModelFileError("model.foreign", path=path)
    config = read_model_config(metadata, path)
    drafts = tensors.pop(DRAFTS, None)
    if drafts is not None and not _is_table(drafts):
        raise ModelFileError("model.dimensions", path=path)
    model = build_model(config, tensors, path).eval()
    model.drafts = drafts
    return model, provenance


def _is_table(drafts: torch.Tensor) -> bool:
    return (
        drafts.dtype == torch.uint8
        and drafts.dim() == 2
        and drafts.shape[0] <= TABLE_ROWS
        and 2 < drafts.shape[1] <= TABLE_COLUMNS  # shorter passages in files of before
    )


def read_model_config(metadata: dict, path: Path) -> ModelConfig:
    """The configuration in the ``metadata`` of ``path``; ``ModelFileError`` when it is not one."""
    values = metadata.get("model")
    if not isinstance(values, dict):
        raise ModelFileError("model.foreign", path=path)
    try:
        return from_dict(ModelConfig, values)
    except SettingError as error:
        raise ModelFileError("model.config", path=path, reason=error) from error


def build_model(config: ModelConfig, tensors: container.Tensors, path: Path) -> Transformer:
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
