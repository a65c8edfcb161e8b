"""What a command line and a settings file mean together, and what does not fit together."""

import dataclasses

import pytest

from h2q.cli.arguments import parse, train_parser
from h2q.cli.settings import training_call
from h2q.cli.settings_file import Settings
from h2q.config import (
    PRESETS,
    READABLE,
    EvolutionConfig,
    ModelConfig,
    TrainingConfig,
)
from h2q.system.errors import CorpusError, H2QError, ModelFileError, SettingError
from tests.cli.conftest import inference, save_small_model, training


def refusal(make, *arguments, **tables) -> H2QError:
    with pytest.raises(H2QError) as caught:
        make(*arguments, **tables)
    return caught.value


def test_without_flags_it_is_the_readme():
    call = training()
    assert call.model == ModelConfig()
    assert call.training == TrainingConfig()
    assert call.evolution == EvolutionConfig()
    assert (call.job.mode, call.job.device, call.job.dtype) == ("train", "auto", "auto")
    assert not (call.resume or call.dry_run or call.quiet or call.tensorboard)
    paths = (call.data_dir, call.eval_dir, call.knowledge_dir, call.encoding)
    assert paths == (None, None, None, None)


def test_patterns_come_one_by_one_or_with_commas():
    assert training().include == ()
    call = training("--include", "*.md, notes/*.txt,", "--include", "*.py", "--include", "")
    assert call.include == ("*.md", "notes/*.txt", "*.py")


def test_a_call_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        training().resume = True


def test_tables_win_over_the_preset_and_flags_over_both():
    call = training(
        *("--preset", "tiny", "--lr", 0.5),
        model={"n_layers": 2},
        training={"lr": 0.25, "clip_norm": 2},
    )
    tiny = PRESETS["tiny"]
    assert call.model == dataclasses.replace(tiny.model, n_layers=2)
    assert call.training == dataclasses.replace(tiny.training, lr=0.5, clip_norm=2)


def test_epochs_take_the_place_of_a_planned_time_of_the_preset_and_of_a_saved_run():
    call = training("--epochs", 3)
    assert (call.training.epochs, call.training.max_minutes) == (3, 0.0)
    assert call.resumed_training(TrainingConfig(max_minutes=5)).max_minutes == 0.0


def test_a_resumed_run_keeps_its_settings_but_those_that_are_given():
    saved = TrainingConfig(lr=0.125, batch_size=2, epochs=9)
    resumed = training("--epochs", 20, training={"clip_norm": 3}).resumed_training(saved)
    assert resumed == dataclasses.replace(saved, epochs=20, clip_norm=3)


def test_a_resumed_run_keeps_its_model_unless_a_preset_is_named():
    saved = ModelConfig(embed_dim=64, n_heads=4, n_layers=3)
    changed = training(model={"n_layers": 2}).resumed_model(saved)
    assert changed == dataclasses.replace(saved, n_layers=2)
    named = training("--preset", "readme", model={"n_layers": 2}).resumed_model(saved)
    assert named == ModelConfig(n_layers=2)


@pytest.mark.parametrize("item", dataclasses.fields(EvolutionConfig), ids=lambda item: item.name)
@pytest.mark.parametrize("mode", ["train", "evolve"])
def test_every_setting_of_evolution_can_stand_in_the_table(item, mode):
    value = item.default + item.metadata["maximum"] / 4
    value = min(type(item.default)(value), item.metadata["maximum"])
    call = training("--mode", mode, evolution={item.name: value})
    assert value != item.default
    assert call.evolution == EvolutionConfig(**{item.name: value})


@pytest.mark.parametrize(
    ("arguments", "tables", "evolution", "trained"),
    [
        (["--lr", 0.5], {}, {"lr": 0.5}, {"lr": 0.5}),
        (["--max_minutes", 5], {}, {"max_minutes": 5}, {}),
        (["--cycles", 7], {"evolution": {"cycles": 8}}, {"cycles": 7}, {}),
        (["--lr", 0.5], {"evolution": {"lr": 0.25}}, {"lr": 0.5}, {"lr": 0.5}),
        (["--max_minutes", 5], {"evolution": {"max_minutes": 6}}, {"max_minutes": 5}, {}),
        (
            [],
            {"training": {"lr": 0.5, "max_minutes": 5}},
            {"lr": 0.5, "max_minutes": 5},
            {"lr": 0.5},
        ),
        (
            [],
            {
                "training": {"lr": 0.5, "max_minutes": 5},
                "evolution": {"lr": 0.25, "max_minutes": 6},
            },
            {"lr": 0.25, "max_minutes": 6},
            {"lr": 0.5},
        ),
        (["--epochs", 2, "--max_minutes", 5], {}, {"max_minutes": 5}, {"epochs": 2}),
    ],
)
def test_time_and_rate_of_an_evolution(arguments, tables, evolution, trained):
    """Flags win over ``[evolution]``, which wins over ``[training]``."""
    call = training("--mode", "evolve", *arguments, **tables)
    assert call.evolution == EvolutionConfig(**evolution)
    assert call.training == TrainingConfig(**trained)


def test_outside_of_evolve_time_and_rate_are_those_of_the_training():
    call = training("--lr", 0.5, "--max_minutes", 5, evolution={"lr": 0.25})
    assert call.evolution == EvolutionConfig(lr=0.25)
    assert call.training == TrainingConfig(lr=0.5, max_minutes=5)


@pytest.mark.parametrize(
    ("arguments", "tables", "key", "name"),
    [
        (["--mode", "fly"], {}, "setting.choice", "--mode"),
        (["--device", "tpu"], {}, "setting.choice", "--device"),
        (["--dtype", "int8"], {}, "setting.choice", "--dtype"),
        (["--preset", "huge"], {}, "setting.choice", "--preset"),
        (["--epochs", 0], {}, "setting.range", "epochs"),
        ([], {"model": {"n_layers": 0}}, "setting.range", "n_layers"),
        ([], {"training": {"clip_norm": "x"}}, "setting.type", "clip_norm"),
        (["--cycles", 0], {}, "setting.range", "cycles"),
        ([], {"evolution": {"exposures": 0}}, "setting.range", "exposures"),
        ([], {"evolution": {"exposures": "many"}}, "setting.type", "exposures"),
    ],
)
def test_a_value_that_is_none_is_refused_by_its_name(arguments, tables, key, name):
    error = refusal(training, *arguments, **tables)
    assert isinstance(error, SettingError)
    assert (error.key, error.values["name"]) == (key, name)


@pytest.mark.parametrize(
    ("arguments", "tables", "key"),
    [
        (["--dry_run", "--resume"], {}, "dry.resume"),
        (["--epochs", 2, "--max_minutes", 5], {}, "usage.epochs_or_minutes"),
        (["--epochs", 2], {"training": {"max_minutes": 5}}, "usage.epochs_or_minutes"),
        (["--encoding", "klingon"], {}, "corpus.codec"),
        (["--encoding", "zip"], {}, "corpus.codec"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, tables, key):
    assert refusal(training, *arguments, **tables).key == key


@pytest.mark.parametrize(
    ("arguments", "key", "name"),
    [
        (["--mode", "fly", "--epochs", "0"], "setting.choice", "--mode"),
        (["--encoding", "klingon", "--preset", "huge"], "corpus.codec", None),
        (["--preset", "huge", "--dry_run", "--resume"], "setting.choice", "--preset"),
        (["--dry_run", "--resume", "--epochs", "0"], "dry.resume", None),
        (["--lr", "-1", "--cycles", "0"], "setting.range", "lr"),
    ],
)
def test_of_several_mistakes_the_first_is_said(arguments, key, name):
    error = refusal(training, *arguments)
    assert (error.key, error.values.get("name")) == (key, name)


@pytest.mark.parametrize("name", ["gb18030", "utf-16", "latin-1"])
def test_an_encoding_that_exists_is_taken(name):
    assert training("--encoding", name).encoding == name


def test_an_unknown_encoding_is_a_fault_of_the_text():
    assert isinstance(refusal(training, "--encoding", "klingon"), CorpusError)


def test_a_file_without_tables_changes_nothing():
    assert training_call(parse(train_parser(), []), Settings()) == training()


def test_what_inference_is_asked_for(tmp_path):
    model = save_small_model(tmp_path)
    call = inference(
        *("--model", model, "--temperature", 0, "--stop", "\\n", "--stop", "x", "--json"),
        *("--mode", "score", "--lines", "a.txt", "b.txt"),
    )
    assert call.sampling == dataclasses.replace(READABLE, temperature=0, stop=("\n", "x"))
    assert [str(path) for path in call.files] == ["a.txt", "b.txt"]
    assert (call.job.mode, call.job.format) == ("score", "safetensors")
    assert call.as_json and call.lines
    assert inference("--model", model).sampling == READABLE


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--mode", "score"], "usage.files"),
        (["stray.txt"], "usage.no_files"),
        (["--mode", "export", "stray.txt"], "usage.no_files"),
        (["--lines"], "usage.not_in"),
        (["--mode", "interactive", "--json"], "usage.not_in"),
        (["--mode", "interactive", "--prompts_file", "x"], "usage.not_in"),
        (["--mode", "score", "a.txt", "--prompt", "x"], "usage.not_in"),
        (["--mode", "export", "--memory", "off"], "usage.not_in"),
        (["--prompt", "x", "--prompts_file", "y"], "usage.prompt_or_file"),
        (["--mode", "fly", "stray.txt"], "setting.choice"),
        (["--format", "gguf"], "setting.choice"),
        (["--lines", "--temperature", "-1"], "usage.not_in"),
        (["--temperature", "-1"], "setting.range"),
        (["--stop", ""], "setting.stop"),
    ],
)
def test_wrong_use_of_inference(arguments, key):
    """The error comes before the program looks for the model file, which does not exist."""
    assert refusal(inference, "--model", "nowhere.pt", *arguments).key == key


def test_a_model_that_is_not_there_is_said_before_anything_is_loaded():
    error = refusal(inference, "--model", "nowhere.pt")
    assert isinstance(error, ModelFileError) and error.key == "model.missing"


def test_without_a_memory_there_is_no_validation_part():
    config = training("--memory", "off").training
    assert (config.memory_bytes, config.validation_fraction) == (0, 0.0)
    with pytest.raises(SettingError) as caught:
        training("--mode", "evolve", "--memory", "off")
    assert caught.value.key == "usage.not_in"
