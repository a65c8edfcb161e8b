"""The parsers: defaults, spellings, the language of the help, and wrong use in one sentence."""

import sys
from pathlib import Path

import pytest

from h2q.cli.arguments import (
    chat_parser,
    language,
    parse,
    settings_from_file,
    train_parser,
    underscored,
)
from h2q.cli.settings_file import Settings
from h2q.config import READABLE
from h2q.system.errors import SettingError
from h2q.system.messages import catalogue
from h2q.system.paths import EXPORT_DIR, MODEL_PATH

each_parser = pytest.mark.parametrize("build", [train_parser, chat_parser])


def test_what_is_not_given_is_none_so_that_a_file_can_give_it():
    parsed = vars(parse(train_parser(), []))
    given = {name: value for name, value in parsed.items() if value is not None}
    assert given == {
        **{"mode": "train", "device": "auto", "dtype": "auto", "memory": "on", "knowledge": "own"},
        "output_dir": Path(),
        **dict.fromkeys(["resume", "dry_run", "quiet", "tensorboard"], False),
    }


def test_defaults_of_inference():
    parsed = parse(chat_parser(), [])
    assert (parsed.mode, parsed.format, parsed.files) == ("demo", "safetensors", [])
    assert (parsed.model, parsed.export_dir) == (Path(MODEL_PATH), Path(EXPORT_DIR))
    sampling = vars(READABLE).items() - {("stop", ())}
    assert sampling <= {(name, v) for name, v in vars(parsed).items() if not isinstance(v, list)}


@each_parser
@pytest.mark.parametrize("flag", ["--no_such_flag", "--no_such_flag=3", "-x"])
def test_an_unknown_flag_is_refused(build, flag):
    with pytest.raises(SettingError) as error:
        parse(build(), [flag])
    assert error.value.key == "usage.flag"
    assert error.value.values["flag"] == flag.partition("=")[0]


@pytest.mark.parametrize(("flag", "nearest"), [("--epoch=3", "--epochs"), ("--sed", "--seed")])
def test_the_nearest_flag_is_offered_and_no_abbreviation_taken(flag, nearest):
    with pytest.raises(SettingError, match=f"{nearest}；"):
        parse(train_parser(), [flag])


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--epochs", "many"], "setting.type"),
        (["--lr", "a\nb"], "setting.type"),
        (["--seed"], "usage.no_value"),
        (["--resume=yes"], "usage.wrong"),
    ],
)
def test_what_argparse_refuses_is_one_sentence_of_ours(arguments, key):
    with pytest.raises(SettingError) as error:
        parse(train_parser(), arguments)
    assert error.value.key == key


@each_parser
def test_version_and_help_leave_with_success(build, capsys):
    for flag, said in (("--version", "H2Q-Evo"), ("--help", "--lang"), ("-h", "用法")):
        with pytest.raises(SystemExit) as left:
            parse(build(), [flag])
        assert not left.value.code
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--data-dir", "--data_dir"),
        ("--data-dir=my-text", "--data_dir=my-text"),
        ("my-text", "my-text"),
        ("-h", "-h"),
        ("--prompt=--max-length", "--prompt=--max-length"),
    ],
)
def test_a_flag_may_be_written_with_hyphens(typed, meant):
    assert underscored([typed]) == [meant]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "zh"),
        (["--lang", "en"], "en"),
        (["--lang=en"], "en"),
        (["--lang=en", "--lang", "zh"], "zh"),
        (["--lang"], "zh"),  # the parser says what is missing
    ],
)
def test_language(arguments, found):
    assert language(arguments) == found


@pytest.mark.parametrize(
    ("wanted", "encoding", "found"),
    [("en", "utf-8", "en"), ("fr", "utf-8", "zh"), ("", "ascii", "en"), ("zh", "ascii", "zh")],
)
def test_default_language(monkeypatch, wanted, encoding, found):
    class Screen:
        pass

    Screen.encoding = encoding
    monkeypatch.setenv("H2Q_LANG", wanted)
    monkeypatch.setattr(sys, "stdout", Screen)
    assert language([]) == found


def test_a_language_that_is_none_is_refused():
    with pytest.raises(SettingError) as error:
        language(["--lang", "fr"])
    assert error.value.values == {
        "name": "--lang",
        "value": "fr",
        "known": ", ".join(catalogue.LANGUAGES),
    }


def test_settings_come_from_the_file_that_is_named(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("epochs = 3\n[evolution]\nexposures = 9\n")
    for arguments in (["--config", str(path)], [f"--config={path}", "--no_such_flag"]):
        found = settings_from_file(arguments, train_parser())
        assert found == Settings(["--epochs=3"], evolution={"exposures": 9})
    assert settings_from_file(["--epochs", "3"], train_parser()) == Settings()
