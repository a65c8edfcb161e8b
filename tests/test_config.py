"""Settings: their defaults, ranges and choices, and the presets."""

from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from h2q import config
from h2q.config import (
    EvolutionConfig,
    InferenceJob,
    ModelConfig,
    SamplingConfig,
    TrainingConfig,
    TrainingJob,
)
from h2q.system.errors import SettingError

CLASSES = (
    *(ModelConfig, TrainingConfig, SamplingConfig, EvolutionConfig, TrainingJob, InferenceJob),
)
SETTINGS = [(cls, item) for cls in CLASSES for item in fields(cls) if item.metadata]


def parametrize(settings):
    ids = [f"{cls.__name__}.{item.name}" for cls, item in settings]
    return pytest.mark.parametrize(("cls", "item"), settings, ids=ids)


each_setting = parametrize(SETTINGS)
each_number = parametrize([(cls, item) for cls, item in SETTINGS if item.type is not str])
each_choice = parametrize([(cls, item) for cls, item in SETTINGS if item.type is str])
FLAGS = {name: f"--{name}" for name in ("mode", "device", "dtype", "format", "memory", "knowledge")}


def refusal(cls, **values) -> SettingError:
    with pytest.raises(SettingError) as caught:
        cls(**values)
    return caught.value


@pytest.mark.parametrize(
    ("cls", "defaults"),
    [
        (ModelConfig, {"vocab_size": 256, "embed_dim": 256, "n_heads": 8, "n_layers": 6}),
        (ModelConfig, {"context_length": 512, "dropout": 0.1}),
        (TrainingConfig, {"epochs": 10, "lr": 1e-4, "batch_size": 8, "clip_norm": 1.0}),
    ],
)
def test_defaults_are_those_of_the_readme(cls, defaults):
    """README 模型配置, 训练配置, 训练优化."""
    assert defaults.items() <= asdict(cls()).items()


@each_number
def test_both_ends_of_the_range_are_permitted(cls, item):
    for value in (item.metadata["minimum"], item.metadata["maximum"]):
        try:
            assert getattr(cls(**{item.name: value}), item.name) == value
        except SettingError as error:
            assert error.key == "setting.heads"  # the range is not the reason


@each_choice
def test_each_choice_is_permitted_and_nothing_else(cls, item):
    for value in item.metadata["choices"]:
        assert getattr(cls(**{item.name: value}), item.name) == value
    error = refusal(cls, **{item.name: "adamww"})
    assert error.key == "setting.choice"
    assert "'adamww'" in str(error)
    assert item.metadata["choices"][0] in str(error)


@each_number
def test_a_value_out_of_range_is_refused_and_quoted(cls, item):
    for value in (item.metadata["minimum"] - 1, item.metadata["maximum"] + 1):
        error = refusal(cls, **{item.name: value})
        assert error.key == "setting.range"
        assert item.name in str(error)
        assert str(value) in str(error)


@pytest.mark.parametrize(
    ("cls", "name"),
    [(TrainingConfig, "epochs"), (TrainingConfig, "lr"), (ModelConfig, "embed_dim")],
)
def test_a_number_too_large_for_a_float_is_refused(cls, name):
    assert refusal(cls, **{name: 10**400}).key == "setting.range"


@each_setting
@pytest.mark.parametrize("value", ["7", 7j, None, True, [1], b"7"], ids=repr)
def test_a_value_of_another_type_is_refused_and_quoted(cls, item, value):
    error = refusal(cls, **{item.name: value})
    of_its_type = item.type is str and isinstance(value, str)
    assert error.key == ("setting.choice" if of_its_type else "setting.type")
    assert item.name in str(error)
    assert repr(value) in str(error)


@each_setting
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(cls, item, value):
    expected = "setting.range" if item.type is float else "setting.type"
    assert refusal(cls, **{item.name: value}).key == expected


def test_a_whole_number_may_stand_for_a_float_but_not_the_reverse():
    assert SamplingConfig(temperature=1).temperature == 1
    assert refusal(TrainingConfig, epochs=2.0).key == "setting.type"


@pytest.mark.parametrize(("embed_dim", "n_heads"), [(30, 2), (32, 3), (8, 8), (256, 256)])
def test_heads_must_divide_the_width_into_pairs(embed_dim, n_heads):
    error = refusal(ModelConfig, embed_dim=embed_dim, n_heads=n_heads)
    assert error.key == "setting.heads"
    assert str(embed_dim) in str(error)
    assert str(2 * n_heads) in str(error)


def test_head_dim():
    assert ModelConfig(embed_dim=96, n_heads=4).head_dim == 24


@pytest.mark.parametrize("cls", CLASSES)
def test_settings_cannot_be_changed(cls):
    settings = cls()
    with pytest.raises(FrozenInstanceError):
        setattr(settings, fields(cls)[0].name, 1)


def test_replace_checks_again():
    with pytest.raises(SettingError):
        replace(TrainingConfig(), lr=-1.0)


@pytest.mark.parametrize("cls", CLASSES)
def test_mapping_round_trip(cls):
    assert config.from_dict(cls, asdict(cls())) == cls()


def test_saved_settings_without_a_validation_part_mean_none():
    saved = {"lr": 0.1, "validation_fraction": 0.2}
    assert config.saved_training_config(saved) == TrainingConfig(**saved)
    del saved["validation_fraction"]
    assert config.saved_training_config(saved) == TrainingConfig(lr=0.1, validation_fraction=0.0)


@pytest.mark.parametrize(("name", "near"), [("epoch", "epochs"), ("batchsize", "batch_size")])
def test_unknown_setting_is_refused_and_the_nearest_named(name, near):
    with pytest.raises(SettingError) as caught:
        config.from_dict(TrainingConfig, {"lr": 0.1, name: 3})
    assert caught.value.key == "setting.unknown"
    assert repr(name) in str(caught.value)
    assert repr(near) in str(caught.value)


def test_unknown_setting_need_not_be_text():
    with pytest.raises(SettingError):
        config.from_dict(TrainingConfig, {7: 3})


@pytest.mark.parametrize(
    ("name", "expected"), [("--epoch", "--epochs"), ("--sed", "--seed"), ("xyzzy", "")]
)
def test_nearest(name, expected):
    assert config.nearest(name, ["--epochs", "--seed", "--lr"]) == expected


def test_readme_preset_is_the_default():
    assert config.preset("readme") == config.Preset(ModelConfig(), TrainingConfig())


def test_unknown_preset_is_refused_and_the_known_listed():
    with pytest.raises(SettingError) as caught:
        config.preset("huge")
    sentence = str(caught.value)
    assert "'huge'" in sentence
    assert all(name in sentence for name in config.PRESETS)


@pytest.mark.parametrize("cls", [TrainingJob, InferenceJob])
def test_a_job_is_refused_by_the_name_of_its_flag(cls):
    for item in fields(cls):
        assert refusal(cls, **{item.name: "odd"}).values["name"] == FLAGS[item.name]


@pytest.mark.parametrize(("seed", "number", "derived"), [(0, 0, 0), (42, 3, 45)])
def test_derived_seeds_are_seeds(seed, number, derived):
    assert config.derived_seed(seed, number) == derived
    assert config.derived_seed(config.SEED_MAX, 1 + number) == number


@pytest.mark.parametrize(
    ("settings", "growth"),
    [
        ({"epochs": 6}, 0.5),
        ({"epochs": 7}, 0.0),
        ({"epochs": 7, "max_minutes": 1}, 0.5),  # the number of epochs is not known
    ],
)
def test_growth_of_a_run(settings, growth):
    settings = TrainingConfig(growth_fraction=0.5, growth_epochs=6, **settings)
    assert settings.growth == growth
    assert settings.first_depth(7) == 3
    assert TrainingConfig().first_depth(7) == 7


@pytest.mark.parametrize("stop", ["x", ["x"], ("",), (1,), None])
def test_stop_strings_are_a_tuple_of_strings(stop):
    assert refusal(SamplingConfig, stop=stop).key == "setting.stop"
    assert SamplingConfig(stop=("x", "y")).stop == ("x", "y")


def test_one_passage_alone_is_no_loop():
    error = refusal(SamplingConfig, loop_guard=1)
    assert (error.key, error.values["minimum"]) == ("setting.range", 2)
    assert SamplingConfig(loop_guard=2).loop_guard == 2
