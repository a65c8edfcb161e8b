"""A run is written as a checkpoint and read back."""

from dataclasses import asdict, replace

import pytest
import torch

from h2q.checkpoint import container
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.saved_run import (
    Position,
    RunState,
    RunTensors,
    load_best_weights,
    load_saved_run,
    save_run,
)
from h2q.config import ModelConfig, TrainingConfig
from h2q.system.console import Console
from h2q.system.errors import ModelFileError
from h2q.system.paths import OutputPaths

POINT = {"step": 10, "loss": 2.0, "learning_rate": 0.1, "seconds": 4.0, "tokens_per_second": 9.0}
ENTRY = {
    "epoch": 1,
    "step": 12,
    "train_loss": 2.0,
    "train_perplexity": 7.4,
    "eval_loss": 2.5,
    "eval_perplexity": 12.2,
    "eval_bits_per_byte": 3.6,
    "eval_bytes": 600,
    "learning_rate": 0.1,
    "tokens_per_second": 100.0,
    "seconds": 5.0,
    "curve": [POINT],
}
TENSORS = RunTensors(
    weights={"output.weight": torch.ones(2, 3)},
    optimizer={"output.weight.exp_avg": torch.zeros(2, 3), "output.weight.step": torch.tensor(7.0)},
    average={"output.weight": torch.full((2, 3), 5.0), "steps": torch.tensor(5)},
)


def some_run(**position) -> RunState:
    """A run in its second epoch."""
    values = {"epoch": 1, "batch": 3, "step": 15, "progress": 0.6, "loss_sum": 9.0, "loss_bytes": 6}
    values |= {"seconds": 8.5, "step_seconds": [0.5, 1], "epoch_seconds": 2.0, "first_loss": 5.5}
    values |= {"curve": [POINT], "log": [ENTRY]}
    return RunState(
        model_config=ModelConfig(n_layers=2),
        training_config=TrainingConfig(epochs=2, lr=3e-3),
        environment={"torch": "2.0", "threads": 1},
        corpus="abc",
        position=Position(**{**values, **position}),
        tensors=TENSORS,
    )


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(first[n].equal(second[n]) for n in first)


@pytest.fixture
def directory(tmp_path) -> CheckpointDirectory:
    return CheckpointDirectory(OutputPaths(tmp_path).checkpoints)


@pytest.fixture
def load(tmp_path):
    return lambda: load_saved_run(tmp_path, Console(silent=True))


@pytest.mark.parametrize(
    "run",
    [some_run(), some_run(first_loss=None, curve=[]), replace(some_run(), position=Position())],
    ids=["whole", "without a first loss", "before the first step"],
)
def test_round_trip(directory, load, run):
    path = save_run(directory, run)
    found = load()
    assert path == found.path == directory.directory / f"step_{run.position.step:09d}.pt"
    for name in ("model_config", "training_config", "environment", "corpus", "position"):
        assert getattr(found, name) == getattr(run, name), name
    for part in ("weights", "optimizer", "average"):
        assert same(getattr(found.tensors, part), getattr(TENSORS, part)), part


def test_the_format_is_what_it_was(directory):
    """Names of tensors and keys of metadata, so that this version resumes files of earlier ones."""
    tensors, metadata = container.load(save_run(directory, some_run()))
    assert tensors.keys() == {
        "model.output.weight",
        "optimizer.output.weight.exp_avg",
        "optimizer.output.weight.step",
        "average.output.weight",
        "average.steps",
    }
    assert metadata == {
        "kind": "checkpoint",
        "model": asdict(ModelConfig(n_layers=2)),
        "training": asdict(TrainingConfig(epochs=2, lr=3e-3)),
        "corpus": "abc",
        "environment": {"torch": "2.0", "threads": 1},
        "position": {
            "epoch": 1,
            "batch": 3,
            "step": 15,
            "progress": 0.6,
            "loss_sum": 9.0,
            "loss_bytes": 6,
            "seconds": 8.5,
            "step_seconds": [0.5, 1],
            "epoch_seconds": 2.0,
            "first_loss": 5.5,
            "curve": [POINT],
            "log": [ENTRY],
        },
    }


def test_no_checkpoint_is_no_run(load):
    assert load() is None


def test_a_damaged_checkpoint_is_warned_about(directory, load, capsys):
    save_run(directory, some_run())
    path = save_run(directory, some_run(step=16))
    path.write_bytes(b"damaged")
    assert load().position.step == 15
    assert str(path) in capsys.readouterr().err


def test_the_best_weights_are_loaded(directory):
    save_run(directory, some_run(), best=True)
    worse = replace(TENSORS, weights={"output.weight": torch.zeros(2, 3)})
    save_run(directory, replace(some_run(step=16), tensors=worse))
    assert same(load_best_weights(directory), TENSORS.weights)


def test_a_run_from_before_there_was_a_validation_part_had_none(directory, load):
    _, metadata = container.load(save_run(directory, some_run()))
    del metadata["training"]["validation_fraction"]
    path = directory.directory / "step_000000015.pt"
    container.save(path, TENSORS.for_file(), metadata)
    saved = load()
    assert saved.path == path
    assert saved.training_config == replace(some_run().training_config, validation_fraction=0.0)


def test_a_missing_best_is_an_error(directory):
    with pytest.raises(ModelFileError):
        load_best_weights(directory)


def refused(directory, load, **changed) -> str:
    """The key of the error with which a checkpoint with these metadata is refused."""
    _, metadata = container.load(save_run(directory, some_run()))
    container.save(
        directory.directory / "step_000000015.pt", TENSORS.for_file(), {**metadata, **changed}
    )
    with pytest.raises(ModelFileError) as caught:
        load()
    assert "step_000000015.pt" in str(caught.value)
    return caught.value.key


@pytest.mark.parametrize("kind", ["model", None, 1])
def test_another_kind_of_file_is_called_foreign(directory, load, kind):
    assert refused(directory, load, kind=kind) == "model.foreign"


@pytest.mark.parametrize(
    "changed",
    [
        {"training": None},
        {"training": {"epochs": 0}},
        {"training": {"unknown": 1}},
        {"environment": 7},
        {"position": None},
        {"position": {"unknown": 1}},
    ],
    ids=str,
)
def test_unusable_metadata_are_refused(directory, load, changed):
    assert refused(directory, load, **changed) == "model.config"


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": -1},
        {"epoch": 1.0},
        {"epoch": True},
        {"epoch": None},
        {"step": 2**62},
        {"seconds": -0.5},
        {"seconds": "8"},
        {"seconds": None},
        {"first_loss": "5.5"},
        {"step_seconds": [0.5, None]},
        {"step_seconds": None},
        {"step_seconds": 0.5},
        {"curve": [{**POINT, "loss": None}]},
        {"curve": [5]},
        {"curve": {}},
        {"log": [{**ENTRY, "eval_loss": "low"}]},
        {"log": [{"epoch": 1}]},
        {"log": None},
        {"log": []},
        {"log": [ENTRY, ENTRY]},
        {"batch": 0},
        {"loss_bytes": 0},
    ],
    ids=str,
)
def test_a_position_where_no_run_can_be_is_refused(directory, load, changed):
    position = {**asdict(some_run().position), **changed}
    assert refused(directory, load, position=position) == "model.config"


def test_an_entry_of_the_log_may_lack_what_nobody_reads_again(directory, load):
    short = {name: ENTRY[name] for name in list(ENTRY)[:5]}
    save_run(directory, some_run(log=[short]))
    assert load().position.log == [short]


def test_the_best_epoch_has_the_lowest_held_out_loss():
    log = [{**ENTRY, "epoch": n + 1, "eval_loss": loss} for n, loss in enumerate([3.0, 2.0, 2.5])]
    assert Position(log=log).best is log[1]
    assert Position().best is None


def test_a_new_epoch_begins_with_nothing_summed_up():
    position = some_run().position
    assert position.bytes_per_second == 3.0
    position.begin_next_epoch()
    assert (position.epoch, position.batch, position.step) == (2, 0, 15)
    assert (position.loss_sum, position.loss_bytes, position.epoch_seconds) == (0.0, 0, 0.0)
    assert position.curve == [] and position.log == [ENTRY]
    assert position.bytes_per_second == 0.0
