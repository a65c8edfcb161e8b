"""A trained model for other tools: safetensors as it is, or a directory for ``transformers``.

``gpt_neox`` converts the model to the second form; this module writes the files. Does not need
``transformers``; the ``safetensors`` library is an extra.
"""

import json
from pathlib import Path
from typing import Any

from h2q.checkpoint.container import FORMAT, Tensors
from h2q.checkpoint.gpt_neox import byte_tokenizer, gpt_neox_config, gpt_neox_tensors
from h2q.model.tokenizer import END_OF_DOCUMENT, PAD
from h2q.model.transformer import Transformer
from h2q.system.errors import SettingError
from h2q.system.files import write_bytes, write_json
from h2q.system.messages.catalogue import message


def export_model(
    model: Transformer, provenance: dict[str, Any], directory: Path, form: str
) -> list[Path]:
    """Writes ``model`` below ``directory`` in one of ``EXPORT_FORMATS``; returns the files.

    Each file is written whole or not at all. Raises ``SettingError`` where the ``safetensors``
    library is missing, and ``SaveFailed``.
    """
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise SettingError("extra.missing", name="safetensors", extra="export") from error
    tensors: Tensors = model.state_dict()
    config = model.config
    described = {"format": FORMAT, "model": vars(config), "provenance": provenance}
    files: dict[str, dict[str, Any]] = {"config.json": described}
    if form == "transformers":
        tensors = gpt_neox_tensors(tensors, config)
        files = {
            "config.json": {**gpt_neox_config(config), "h2q_provenance": provenance},
            "generation_config.json": {"eos_token_id": END_OF_DOCUMENT, "pad_token_id": PAD},
            "tokenizer.json": byte_tokenizer(),
            "tokenizer_config.json": {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": config.context_length,
                "clean_up_tokenization_spaces": False,
            },
        }
    directory = Path(directory)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(directory / "model.safetensors", save(tensors, {"format": "pt"}))
    for name, value in files.items():
        write_json(directory / name, value)
    write_bytes(directory / "README.md", _model_card(model, provenance, form).encode("utf-8"))
    return [directory / name for name in ("model.safetensors", *files, "README.md")]


def _model_card(model: Transformer, provenance: dict[str, Any], form: str) -> str:
    """A README: what the model is, how it was trained, how to use it, what not to expect."""
    config = model.config
    return message(
        "export.card_transformers" if form == "transformers" else "export.card_safetensors",
        about=message(
            "export.card",
            parameters=model.parameter_count(),
            layers=config.n_layers,
            width=config.embed_dim,
            heads=config.n_heads,
            context=config.context_length,
            epoch=provenance.get("epoch", "?"),
            step=provenance.get("step", "?"),
            loss=provenance.get("eval_loss", "?"),
            cycle=provenance.get("evolution_cycle", 0),
            provenance=json.dumps(provenance, ensure_ascii=False, indent=2, sort_keys=True),
        ),
    )
