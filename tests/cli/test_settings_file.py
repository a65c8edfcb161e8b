"""Settings from a TOML file."""

import builtins
from dataclasses import replace

import pytest

from h2q.cli.arguments import parse, settings_from_file, train_parser
from h2q.cli.settings import TrainingCall, training_call
from h2q.cli.settings_file import read_settings
from h2q.config import PRESETS, EvolutionConfig, ModelConfig
from h2q.system.errors import SettingError
from tests.cli.conftest import fails, files_below
from tests.conftest import make_text, train


def read(tmp_path, text, *given):
    path = tmp_path / "h2q.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, train_parser(), list(given))


def test_flags_and_tables(tmp_path):
    settings = read(
        tmp_path,
        'epochs = 5\nlr = 1\n"data-dir" = "我的 文本"\nresume = true\nquiet = false\n'
        "[model]\nn_layers = 2\n[training]\nweight_decay = 0.1\n[evolution]\nexposures = 9\n",
    )
    assert settings.arguments == ["--epochs=5", "--lr=1", "--data_dir=我的 文本", "--resume"]
    assert settings.model == {"n_layers": 2}
    assert settings.training == {"weight_decay": 0.1}
    assert settings.evolution == {"exposures": 9}
    parsed = train_parser().parse_args(settings.arguments)
    assert (parsed.epochs, parsed.lr, str(parsed.data_dir)) == (5, 1.0, "我的 文本")


def test_flags_win(tmp_path):
    text = "epochs = 5\nseed = 7\ndry_run = true\n"
    given = ["--seed", "1", "--max_minutes=3", "--resume"]
    assert read(tmp_path, text, *given).arguments == []
    assert read(tmp_path, text, "--epochs", "1").arguments == ["--seed=7", "--dry_run"]


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("epoch = 5", "epoch", "epochs"),
        ("[model]\nn_layer = 2", "model.n_layer", "model.n_layers"),
        ("[training]\nweight_deca = 1", "training.weight_deca", "training.weight_decay"),
        ("[evolution]\nexposure = 1", "evolution.exposure", "evolution.exposures"),
        ("[modle]\nn_layers = 2", "modle", "model"),
        ("[evolutions]\nlr = 2", "evolutions", "evolution"),
        ("config = 'x'", "config", "?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path, text, key, nearest):
    with pytest.raises(SettingError) as error:
        read(tmp_path, text)
    assert error.value.key == "settings.unknown"
    assert error.value.values["name"] == key
    assert error.value.values["nearest"] == nearest


@pytest.mark.parametrize(
    "text",
    [
        *("epochs = '5'", "epochs = 5.0", "epochs = true", "lr = 'x'", "data_dir = 3"),
        *("resume = 1", "model = 3", "evolution = 3", "epochs = [1]", "preset = {a = 1}"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path, text):
    with pytest.raises(SettingError) as error:
        read(tmp_path, text)
    assert error.value.key == "settings.value"


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused(tmp_path, content):
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(SettingError) as error:
        read_settings(tmp_path / "x.toml", train_parser(), [])
    assert error.value.key == "settings.toml"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingError, match="nowhere"):
        read_settings(tmp_path / "nowhere.toml", train_parser(), [])


def test_without_a_toml_library_the_extra_is_named(tmp_path, monkeypatch):
    """Python 3.10 has none of its own."""
    importing = builtins.__import__

    def refuse(name, *others):
        if name in ("tomllib", "tomli"):
            raise ModuleNotFoundError(name)
        return importing(name, *others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SettingError, match=r"pip install tomli"):
        read(tmp_path, "epochs = 5")


def call_of(text: str, directory, *given: str) -> TrainingCall:
    """The settings of a command line that names a settings file with this text."""
    path = directory / "my settings.toml"
    path.write_text(text)
    given = ("--config", str(path), *given)
    settings = settings_from_file([*given], train_parser())
    return training_call(parse(train_parser(), [*settings.arguments, *given]), settings)


def test_from_file_to_configuration(tmp_path):
    """The later wins: preset, tables, flags of the file, flags of the command line."""
    text = (
        "preset = 'tiny'\nepochs = 5\nlr = 0.5\n[model]\nn_layers = 2\n"
        "[training]\nlr = 0.25\nclip_norm = 2\n"
    )
    call = call_of(text, tmp_path, "--epochs", "7")
    assert call.model == ModelConfig(embed_dim=128, n_heads=4, n_layers=2, feedforward_dim=768)
    assert call.training == replace(PRESETS["tiny"].training, lr=0.5, epochs=7, clip_norm=2)


def test_from_file_to_evolution(tmp_path):
    text = (
        "mode = 'evolve'\ncycles = 5\n[training]\nlr = 0.5\n"
        "[evolution]\ncycles = 4\nlr = 0.25\nexposures = 9\nmax_minutes = 2\n"
    )
    expected = EvolutionConfig(cycles=5, lr=0.25, exposures=9, max_minutes=2)
    assert call_of(text, tmp_path).evolution == expected
    typed = call_of(text, tmp_path, "--cycles", "6", "--lr", "0.125", "--max_minutes", "3")
    assert typed.evolution == replace(expected, cycles=6, lr=0.125, max_minutes=3)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("epochs = 0", ["epochs", "0"]),
        ("[model]\nembed_dim = 30", ["30"]),
        ("[training]\nclip_norm = -1", ["clip_norm", "-1"]),
        ("[evolution]\nexposures = 0", ["exposures", "0"]),
        ("epoch = 1", ["x.toml", "epoch", "epochs"]),
        ("lang = 'fr'", ["fr"]),
    ],
)
def test_a_bad_file_is_one_line_and_writes_nothing(tmp_path, text, parts):
    (tmp_path / "x.toml").write_text(text)
    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    before = files_below(tmp_path)
    fails(train("--config", "x.toml", "--data_dir", "t.txt", cwd=tmp_path), *parts)
    assert files_below(tmp_path) == before
