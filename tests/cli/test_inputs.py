"""The machine, the settings and the text that a command needs."""

from pathlib import Path

import pytest
import torch

import h2q
from h2q.cli import inputs
from h2q.cli.inputs import (
    is_without_text,
    open_text,
    require_usable,
    say_banner,
    trained_with,
)
from h2q.config import TrainingConfig
from h2q.system.console import Console
from h2q.system.errors import CorpusError, SettingError
from h2q.system.paths import OutputPaths
from tests.cli.conftest import training
from tests.conftest import CHINESE, make_text


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text(make_text(6000), encoding="utf-8")
    return tmp_path


def test_a_path_without_text_is_refused(place):
    (place / "empty").mkdir()
    require_usable(training("--data_dir", "t.txt", "--eval_dir", "t.txt"))
    require_usable(training())
    for flag in ("--data_dir", "--eval_dir"):
        for path in ("empty", "nowhere"):
            with pytest.raises(CorpusError, match=path):
                require_usable(training(flag, path))


def test_a_path_of_other_files_is_refused_with_the_reason(place):
    (place / "notes").mkdir()
    (place / "notes" / "photo.png").touch()
    with pytest.raises(CorpusError, match=r"photo\.png"):
        require_usable(training("--data_dir", "notes"))
    (place / "notes" / "a.md").write_text("text")
    require_usable(training("--data_dir", "notes"))
    with pytest.raises(CorpusError, match="--include"):
        require_usable(training("--data_dir", "notes", "--include", "*.txt"))


def test_a_device_or_an_extra_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingError) as error:
        require_usable(training("--device", "cuda"))
    assert error.value.key == "device.missing"

    def missing():
        raise SettingError("extra.missing", name="tensorboard", extra="tensorboard")

    monkeypatch.setattr(inputs, "require_tensorboard", missing)
    require_usable(training())
    with pytest.raises(SettingError, match="tensorboard"):
        require_usable(training("--tensorboard"))


def test_where_there_is_no_text(place):
    (place / "empty").mkdir()
    found = [is_without_text(place / name) for name in ("nowhere", "empty", "t.txt", "")]
    assert found == [True, True, False, False]
    (place / "empty" / "photo.png").touch()
    assert is_without_text(place / "empty")
    (place / "empty" / "notes.md").touch()
    assert not is_without_text(place / "empty")


def test_text_is_opened_as_the_call_says(place):
    (place / "g.txt").write_bytes((CHINESE * 80).encode("gb18030"))
    call = training("--encoding", "gb18030", "--eval_dir", "t.txt")
    paths = OutputPaths(place / "out")
    corpus = open_text(call, Path("g.txt"), paths, 64, TrainingConfig())
    assert corpus.scan.encodings == {"gb18030": 1}
    assert corpus.heldout_scan.files[0].path.name == "t.txt"
    assert any(paths.transcoded.iterdir())


def test_a_validation_part_is_as_the_settings_say(place):
    (place / "g.txt").write_text(make_text(40_000), encoding="utf-8")
    for fraction in (0.0, 0.2):
        config = TrainingConfig(validation_fraction=fraction)
        corpus = open_text(training(), Path("g.txt"), OutputPaths(place / "out"), 64, config)
        assert bool(len(corpus.validation)) == bool(fraction)


def test_settings_of_a_model_are_those_it_was_trained_with():
    assert trained_with({"training": {"epochs": 3, "validation_fraction": 0.1}}) == TrainingConfig(
        epochs=3, validation_fraction=0.1
    )
    before = trained_with({"training": {"epochs": 3}})  # there was no validation part
    assert before == TrainingConfig(epochs=3, validation_fraction=0.0)
    unknown = ({}, {"training": None}, {"training": {"epochs": 0}}, {"training": {"other": 1}})
    assert [trained_with(provenance) for provenance in unknown] == [None] * len(unknown)


def test_the_banner_names_machine_and_seed(capsys):
    say_banner("cpu", torch.float32, 42, Console())
    said = capsys.readouterr().out
    assert all(word in said for word in (h2q.__version__, "cpu", "float32", "42"))
