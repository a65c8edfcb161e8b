from dataclasses import asdict, replace

import pytest
import torch

from h2q.checkpoint import container
from h2q.checkpoint.model_file import build_model, load_model, read_model_config, save_model
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer
from h2q.system.errors import ModelFileError, SaveFailed
from tests.conftest import memory_of

PROVENANCE = {"steps": 7, "corpus": "abc", "文": [1.5, None]}


@pytest.fixture
def model(tiny_model_config):
    return Transformer(tiny_model_config).initialize(seed=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "h2q_project" / "h2q_trained_model.pt"


def write(path, transformer, *, tensors=None, **changed) -> None:
    """A model file with other tensors or metadata than ``save_model`` would write."""
    metadata = {"kind": "model", "model": asdict(transformer.config), "provenance": {}} | changed
    container.save(path, transformer.state_dict() if tensors is None else tensors, metadata)


def refusal(path) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_round_trip(path, model):
    save_model(path, model, PROVENANCE)
    loaded, provenance = load_model(path)
    assert provenance == PROVENANCE
    assert loaded.config == model.config
    assert list(loaded.state_dict()) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_loaded_model_computes_the_same(path, model):
    save_model(path, model, {})
    ids = torch.arange(1, 41).reshape(1, 40)
    with torch.no_grad():
        assert torch.equal(load_model(path)[0](ids), model.eval()(ids))


def test_a_loaded_model_evaluates_and_can_be_trained(path, model):
    save_model(path, model.train(), {})
    loaded, _ = load_model(path)
    assert not any(module.training for module in loaded.modules())
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    loaded(torch.ones(1, 4, dtype=torch.long)).sum().backward()
    assert loaded.output.weight.grad is not None


def test_saving_does_not_change_the_model(path, model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_model(path, model.train(), {})
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_loaded_model_does_not_depend_on_its_file(path, model):
    save_model(path, model, {})
    loaded, _ = load_model(path)
    with open(path, "r+b") as stream:
        stream.write(bytes(path.stat().st_size))
    assert torch.equal(loaded.output.weight, model.output.weight)


def test_a_place_that_cannot_be_written_is_reported(path, model):
    path.parent.write_text("a file where the directory should be")
    with pytest.raises(SaveFailed):
        save_model(path, model, {})


@pytest.mark.parametrize(
    "metadata",
    [{"kind": "checkpoint"}, {"kind": None}, {"provenance": None}, {"provenance": [1]}],
    ids=str,
)
def test_another_kind_of_file_is_called_foreign(path, model, metadata):
    write(path, model, **metadata)
    assert refusal(path).key == "model.foreign"


@pytest.mark.parametrize("config", [None, 7, [], "tiny"])
def test_a_file_without_a_configuration_is_called_foreign(path, model, config):
    write(path, model, model=config)
    assert refusal(path).key == "model.foreign"


@pytest.mark.parametrize(
    "changed",
    [
        {"embed_dim": "32"},
        {"embed_dim": 32.0},
        {"embed_dim": True},
        {"embed_dim": 10**12},
        {"embed_dim": 10**400},
        {"embed_dim": 30, "n_heads": 4},
        {"n_layers": 0},
        {"n_layers": -1},
        {"context_length": 10**9},
        {"vocab_size": 50257},
        {"dropout": 1.5},
        {"dropout": None},
        {"dropout": 10**400},
        {"activation": "relu"},
        {"": 1},
    ],
    ids=lambda changed: str(changed)[:30],
)
def test_an_unusable_configuration_is_refused(path, model, changed):
    write(path, model, model=asdict(model.config) | changed)
    assert refusal(path).key == "model.config"


@pytest.mark.parametrize(
    "changed",
    [
        {"embed_dim": 64},
        {"n_layers": 1},
        {"n_layers": 3},
        {"feedforward_dim": 65},
        {"embed_dim": 8192, "n_heads": 1, "n_layers": 256, "feedforward_dim": 65536},
    ],
    ids=str,
)
def test_weights_of_other_dimensions_are_refused_before_anything_is_allocated(path, model, changed):
    """The last of them would need 1.4 TB."""
    write(path, model, model=asdict(model.config) | changed)
    assert refusal(path).key == "model.dimensions"


def without(name):
    return lambda tensors: tensors.pop(name)


def put(name, make):
    return lambda tensors: tensors.update({name: make(tensors)})


@pytest.mark.parametrize(
    "change",
    [
        without("output.weight"),
        dict.clear,
        put("another.weight", lambda tensors: torch.zeros(2)),
        put("output.weight", lambda tensors: tensors["output.weight"].T),
        put("output.weight", lambda tensors: tensors["output.weight"].flatten()),
        put("output.weight", lambda tensors: tensors["output.weight"][:-1]),
        put("output.weight", lambda tensors: tensors["output.weight"].double()),
        put("output.weight", lambda tensors: tensors["output.weight"].bfloat16()),
        put("output.weight", lambda tensors: tensors["output.weight"].int()),
        put("output.weight", lambda tensors: torch.tensor(0.0)),
    ],
    ids=[
        "missing",
        "none",
        "extra",
        "turned",
        "flat",
        "short",
        "double",
        "half",
        "whole",
        "number",
    ],
)
def test_weights_that_do_not_fit_are_refused(path, model, change):
    """No untrained weight is ever put in place of a missing one."""
    tensors = dict(model.state_dict())
    change(tensors)
    write(path, model, tensors=tensors)
    assert refusal(path).key == "model.dimensions"


def test_a_memory_is_read_as_it_was_saved(path, model):
    model.memory = memory_of(b"some text, some more text")
    save_model(path, model, {})
    read = load_model(path)[0].memory.arrays()
    assert read.keys() == model.memory.arrays().keys()
    assert all((array == read[name]).all() for name, array in model.memory.arrays().items())


def test_without_a_memory_none_is_read(path, model):
    save_model(path, model, {})
    assert load_model(path)[0].memory is None


@pytest.mark.parametrize(
    "table",
    [torch.ones(3, 7, dtype=torch.uint8), torch.ones(3, 6, dtype=torch.uint8), torch.ones(7)],
    ids=["today", "before", "no table"],
)
def test_a_table_of_drafts_of_before_is_left_out(path, model, table):
    write(path, model, tensors={**model.state_dict(), "drafts": table})
    loaded = load_model(path)[0]
    assert loaded.memory is None and torch.equal(loaded.output.weight, model.output.weight)


@pytest.mark.parametrize(
    "damage",
    [
        lambda array: array.float(),
        lambda array: array[None],
        lambda array: array[:-1].clone(),
        lambda array: array * 0,
    ],
    ids=["float", "shape", "short", "no counts"],
)
def test_counts_that_are_no_counts_are_refused(path, model, damage):
    arrays = memory_of(b"some text, some more text").arrays()
    tensors = {f"memory.{name}": torch.from_numpy(array) for name, array in arrays.items()}
    tensors["memory.1.counts"] = damage(tensors["memory.1.counts"])
    write(path, model, tensors={**model.state_dict(), **tensors})
    assert refusal(path).key == "model.memory"


def test_a_gate_that_is_not_finite_is_refused(path, model):
    model.memory = memory_of(b"some text, some more text")
    model.memory.gate.output_bias[0] = float("nan")
    save_model(path, model, {})
    assert refusal(path).key == "model.memory"


def test_a_flipped_bit_in_a_memory_is_seen(path, model):
    """Also where the counts would still be counts."""
    model.memory = memory_of(b"some text, some more text")
    save_model(path, model, {})
    data, counts = path.read_bytes(), model.memory.arrays()["3.counts"].tobytes()
    assert data.count(counts) == 1
    first = data.index(counts)
    path.write_bytes(data[:first] + bytes([data[first] ^ 2]) + data[first + 1 :])
    assert refusal(path).key == "model.damaged"


def test_a_state_dict_of_another_program_is_foreign(path, model):
    path.parent.mkdir()
    torch.save(model.state_dict(), path)
    assert refusal(path).key == "model.foreign"


def test_weights_that_are_not_finite_are_refused(path, model):
    with torch.no_grad():
        model.output.weight[3, 5] = float("nan")
    save_model(path, model, {})
    error = refusal(path)
    assert error.key == "model.not_finite"
    assert "output.weight" in str(error)


def test_a_missing_file_tells_how_to_train(path):
    error = refusal(path)
    assert error.key == "model.missing"
    assert "local_training_system.py --mode train" in str(error)


def test_a_setting_that_a_file_lacks_has_its_default(path):
    assert read_model_config({"model": {"n_layers": 2}}, path) == ModelConfig(n_layers=2)


def test_build_model_takes_the_tensors_as_they_are(path, model):
    config = replace(model.config, dropout=0.5, context_length=128)  # no weight depends on these
    built = build_model(config, model.state_dict(), path)
    assert built.config == config
    assert built.output.weight.data_ptr() == model.output.weight.data_ptr()
