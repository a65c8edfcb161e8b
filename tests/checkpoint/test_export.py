"""Exports, loaded by the tools they are for."""

import builtins
import json
import os

import pytest
import torch

from h2q.checkpoint.export import export_model
from h2q.checkpoint.model_file import save_model
from h2q.config import ModelConfig
from h2q.system.errors import SettingError
from h2q.system.paths import MODEL_PATH
from tests.checkpoint.conftest import PROVENANCE, SHAPES, trained
from tests.cli.test_main import fails, files_below
from tests.conftest import chat

pytest.importorskip("safetensors")
os.environ["HF_HUB_OFFLINE"] = "1"


def test_transformers_continues_text(tmp_path, transformers):
    model = trained(SHAPES[0])
    export_model(model, PROVENANCE, tmp_path, "transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    start = torch.tensor([list(b"the cat")])
    tokens = theirs.generate(start, max_new_tokens=20, do_sample=False, eos_token_id=None)
    with torch.no_grad():
        assert all(
            tokens[0, end] == model(tokens[:, :end])[0, -1].argmax()
            for end in range(7, tokens.shape[1])
        )
    assert theirs.generation_config.eos_token_id == 255


def test_safetensors_holds_the_weights_and_the_configuration(tmp_path):
    from safetensors.torch import load_file

    model = trained(SHAPES[0])
    files = export_model(model, PROVENANCE, tmp_path / "a b", "safetensors")
    assert {path.name for path in files} == {"model.safetensors", "config.json", "README.md"}
    tensors = load_file(tmp_path / "a b" / "model.safetensors")
    state = model.state_dict()
    assert tensors.keys() == state.keys()
    assert all(torch.equal(tensors[name], state[name]) for name in state)
    described = json.loads((tmp_path / "a b" / "config.json").read_text(encoding="utf-8"))
    assert ModelConfig(**described["model"]) == model.config
    assert described["provenance"] == PROVENANCE
    card = (tmp_path / "a b" / "README.md").read_text(encoding="utf-8")
    assert f"{model.parameter_count():,}" in card and "2.5（每字节" in card and "第 3 轮" in card


def test_export_from_the_command_line(tmp_path):
    save_model(tmp_path / MODEL_PATH, trained(SHAPES[0]), PROVENANCE)
    result = chat("--mode", "export", "--format", "transformers", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    names = {path.name for path in (tmp_path / "h2q_export").iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "README.md"}
    assert all(f"h2q_export/{name}" in result.stdout for name in names)
    before = files_below(tmp_path)
    fails(chat("--mode", "export", "--format", "gguf", cwd=tmp_path), "gguf", "transformers")
    assert files_below(tmp_path) == before


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    importing = builtins.__import__

    def refuse(name, *others):
        if name.startswith("safetensors"):
            raise ModuleNotFoundError(name)
        return importing(name, *others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SettingError, match="pip install safetensors"):
        export_model(trained(SHAPES[0]), {}, tmp_path, "safetensors")
    assert list(tmp_path.iterdir()) == []
