"""A trained model as a file: weights, configuration and provenance, saved and loaded.

This is ``h2q_project/h2q_trained_model.pt``. Does not know how a file is written and verified
(``container``).
"""

from pathlib import Path
from typing import Any

import torch

from h2q.checkpoint import container
from h2q.config import ModelConfig, from_dict
from h2q.model.ngram import TABLE_COLUMNS, TABLE_ROWS
from h2q.model.transformer import Transformer
from h2q.system.errors import ModelFileError, SettingError

KIND = "model"
DRAFTS = "drafts"  # the n-gram table, a tensor beside the weights; a file may lack it


def save_model(path: Path, model: Transformer, provenance: dict[str, Any]) -> None:
    """Writes weights, n-gram table and configuration of ``model`` to ``path``, with ``provenance``.

    ``provenance`` says where the model comes from, in values that JSON can hold. Raises
    ``SaveFailed``; the old file, if any, is then as it was.
    """
    metadata = {"kind": KIND, "model": vars(model.config), "provenance": provenance}
    tensors = model.state_dict()
    if model.drafts is not None:
        tensors[DRAFTS] = model.drafts
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
    drafts = tensors.pop(DRAFTS, None)
    if drafts is not None and not _is_table(drafts):
        raise ModelFileError("model.dimensions", path=path)
    model = build_model(config, tensors, path).eval()
    model.drafts = drafts
    return model, provenance


def _is_table(drafts: torch.Tensor) -> bool:
    """Whether ``drafts`` has the form of an n-gram table (``model.ngram``)."""
    return (
        drafts.dtype == torch.uint8
        and drafts.dim() == 2
        and drafts.shape[0] <= TABLE_ROWS
        and 2 < drafts.shape[1] <= TABLE_COLUMNS  # older files have fewer
    )


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
