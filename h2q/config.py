"""Every setting with its meaning, unit and permitted range, and the presets.

A configuration checks itself when it is made: a value of the wrong type or out of range raises
``SettingError``, which quotes the value. No other module checks the value of a setting; which
flags of a command line fit together is for ``cli.settings``.
"""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from h2q.system.errors import SettingError

TRAINING_MODES = ("train", "evolve")
INFERENCE_MODES = ("demo", "interactive", "ask", "score", "export")
EXPORT_FORMATS = ("safetensors", "transformers")
DEVICES = ("auto", "cpu", "cuda")
SWITCH = ("on", "off")
KNOWLEDGE = ("own", "shipped")
DTYPES = ("auto", "float32", "bfloat16")
SEED_MAX = 2**31 - 1

# Settings by name, from a file or a command line. A configuration checks the types of the values.
Values = Mapping[str, Any]
_Number = TypeVar("_Number", int, float)


def _setting(default: _Number, minimum: _Number, maximum: _Number) -> _Number:
    """A field that takes numbers from ``minimum`` to ``maximum``."""
    return field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def _choice(default: str, choices: tuple[str, ...], name: str | None = None) -> str:
    """A field that takes one of ``choices``; an error calls it ``name`` where one is given."""
    return field(default=default, metadata={"choices": choices, "name": name})


def require_choice(name: str, value: str, known: Collection[str]) -> None:
    """Raises ``SettingError``, which lists the known values, unless ``value`` is one of them."""
    if value not in known:
        raise SettingError("setting.choice", name=name, value=value, known=", ".join(known))


def _require_type(name: str, value: object, kind: type) -> None:
    """A whole number may stand for a float; a boolean is never a number."""
    numeric = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, numeric):
        raise SettingError("setting.type", name=name, value=value, type=kind.__name__)


def _require_range(name: str, value: float, minimum: float, maximum: float) -> None:
    if not minimum <= value <= maximum:
        raise SettingError(
            "setting.range", name=name, value=value, minimum=minimum, maximum=maximum
        )


@dataclass(frozen=True)
class _Checked:
    """Checks each field against the type of its default and its range or choices."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if not item.metadata:  # checked by its own class
                continue
            value = getattr(self, item.name)
            _require_type(item.name, value, type(item.default))
            if choices := item.metadata.get("choices"):
                require_choice(item.metadata["name"] or item.name, value, choices)
            else:
                _require_range(item.name, value, **item.metadata)


@dataclass(frozen=True)
class ModelConfig(_Checked):
    """Dimensions of the Transformer; the defaults are those of the README (模型配置)."""

    vocab_size: int = _setting(256, 256, 256)  # a token is a byte
    embed_dim: int = _setting(256, 2, 8192)
    n_heads: int = _setting(8, 1, 256)
    n_layers: int = _setting(6, 1, 256)
    context_length: int = _setting(512, 2, 65536)  # bytes the model sees at once
    feedforward_dim: int = _setting(2048, 1, 65536)
    dropout: float = _setting(0.1, 0.0, 0.9)
    rotary_base: float = _setting(10_000.0, 1.0, 1e9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embed_dim % (2 * self.n_heads):
            raise SettingError(
                "setting.heads", embed_dim=self.embed_dim, double_heads=2 * self.n_heads
            )

    @property
    def head_dim(self) -> int:
        return self.embed_dim // self.n_heads


@dataclass(frozen=True)
class TrainingConfig(_Checked):
    """How a model is trained; the defaults are those of the README (训练配置, 训练优化)."""

    epochs: int = _setting(10, 1, 1_000_000)
    max_minutes: float = _setting(0.0, 0.0, 1e6)  # planned length of the run; 0: ``epochs`` decides
    lr: float = _setting(1e-4, 1e-9, 10.0)  # peak learning rate of AdamW
    batch_size: int = _setting(8, 1, 65536)  # windows per step
    seed: int = _setting(42, 0, SEED_MAX)
    optimizer: str = _choice("adamw", ("adamw", "muon"))  # for the matrices of the layers
    muon_lr: float = _setting(2e-3, 1e-9, 10.0)  # peak learning rate of Muon
    adam_beta2: float = _setting(0.999, 0.0, 0.999999)
    # During this first share of the run, windows are a quarter and later half as long, and a batch
    # is split into four and later two updates.
    short_fraction: float = _setting(0.0, 0.0, 1.0)
    # During this first share of the run, only the first third of the layers is trained.
    growth_fraction: float = _setting(0.0, 0.0, 1.0)
    # In a run of more epochs than this, all layers are trained from the start: few layers would
    # memorise the text.
    growth_epochs: int = _setting(1_000_000, 0, 1_000_000)
    # Epochs at the start without dropout: a model cannot memorise what it saw only a few times.
    dropout_after_epochs: int = _setting(0, 0, 1_000_000)
    weight_decay: float = _setting(0.01, 0.0, 10.0)
    schedule: str = _choice("cosine", ("cosine", "linear"))  # how the learning rate decays
    warmup_steps: int = _setting(0, 0, 1_000_000)  # until the learning rate reaches its peak
    decay_fraction: float = _setting(1.0, 1e-6, 1.0)  # share of the run in which ``linear`` decays
    min_lr_ratio: float = _setting(0.0, 0.0, 1.0)  # share of the peak at which ``linear`` ends
    clip_norm: float = _setting(1.0, 1e-6, 1e6)  # largest norm of the gradient
    # Share of the text that the weights do not see: order and gate of the memory are chosen on it.
    validation_fraction: float = _setting(0.03, 0.0, 0.5)
    eval_bytes: int = _setting(65_536, 512, 2**40)  # most held-out bytes per evaluation
    memory_bytes: int = _setting(33_554_432, 0, 2**34)  # most of the n-gram memory; 0: none
    save_interval_seconds: float = _setting(180.0, 0.0, 1e9)  # between checkpoints
    # The run ends after this many epochs without a lower held-out loss; 0: never.
    patience: int = _setting(0, 0, 1_000_000)

    @property
    def growth(self) -> float:
        """``growth_fraction``, or 0 in a run of more than ``growth_epochs`` epochs."""
        many = not self.max_minutes and self.epochs > self.growth_epochs
        return 0.0 if many else self.growth_fraction

    def first_depth(self, n_layers: int) -> int:
        """The smallest number of layers, out of ``n_layers``, that are trained at any time."""
        return math.ceil(n_layers / 3) if self.growth_fraction else n_layers


@dataclass(frozen=True)
class SamplingConfig(_Checked):
    """How a continuation is drawn from the model, and what ends it besides the model itself."""

    temperature: float = _setting(0.8, 0.0, 10.0)  # 0 is greedy
    max_length: int = _setting(200, 1, 2**40)  # most bytes generated
    seed: int = _setting(42, 0, SEED_MAX)
    top_k: int = _setting(0, 0, 256)  # only the k most likely bytes; 0: all
    top_p: float = _setting(1.0, 1e-6, 1.0)  # only the most likely, up to this total probability
    min_p: float = _setting(0.0, 0.0, 1.0)  # least probability, as a share of the likeliest byte's
    repetition_penalty: float = _setting(1.0, 0.1, 10.0)  # on the last 64 bytes; 1: none
    # Ends text in which one passage comes this many times in a row; 0: never.
    loop_guard: int = _setting(0, 0, 1000)
    stop: tuple[str, ...] = ()  # strings that end the text; they are left out

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.stop, tuple) or not all(
            isinstance(text, str) and text for text in self.stop
        ):
            raise SettingError("setting.stop", value=self.stop)
        if self.loop_guard == 1:  # every passage occurs once, so any text would be a loop
            _require_range("loop_guard", 1, 2, 1000)


# What the program writes with unless told otherwise: a small model gives much of its probability to
# bytes that are each unlikely, and text is easier to read without them (min-p: arXiv 2407.01082).
READABLE = SamplingConfig(min_p=0.1)


@dataclass(frozen=True)
class EvolutionConfig(_Checked):
    """How a model evolves."""

    cycles: int = _setting(3, 1, 1_000_000)
    max_minutes: float = _setting(0.0, 0.0, 1e6)  # of all cycles together; 0: no limit
    # Text of one cycle, replay included; where facts are taught, of one round of a cycle.
    cycle_bytes: int = _setting(1_048_576, 1024, 2**40)
    rounds: int = _setting(6, 1, 1000)  # most of a cycle; it ends when its facts are learnt
    exposures: int = _setting(200, 1, 100_000)  # documents about each new fact, at first
    review_fraction: float = _setting(0.1, 0.0, 0.9)  # least share of documents about older facts
    replay_fraction: float = _setting(0.4, 0.0, 0.95)  # share of the person's own text
    # Share of the entities whose questions are never trained on.
    unasked_share: float = _setting(0.1, 0.0, 1.0)
    lr: float = _setting(4e-3, 1e-9, 10.0)  # peak learning rate of AdamW


@dataclass(frozen=True)
class TrainingJob(_Checked):
    """What the training program does, and with which device and precision. Errors name the flag."""

    mode: str = _choice("train", TRAINING_MODES, "--mode")
    device: str = _choice("auto", DEVICES, "--device")
    dtype: str = _choice("auto", DTYPES, "--dtype")  # of the computation; weights are float32
    memory: str = _choice("on", SWITCH, "--memory")  # whether the model gets an n-gram memory
    knowledge: str = _choice("own", KNOWLEDGE, "--knowledge")  # whose an evolution teaches


@dataclass(frozen=True)
class InferenceJob(_Checked):
    """What the inference program does. Errors name the flag."""

    mode: str = _choice("demo", INFERENCE_MODES, "--mode")
    format: str = _choice("safetensors", EXPORT_FORMATS, "--format")  # of ``export``
    memory: str = _choice("on", SWITCH, "--memory")  # whether the model's memory is used


@dataclass(frozen=True)
class Preset:
    """A model and how it is trained, under one name."""

    model: ModelConfig
    training: TrainingConfig


_MUON = TrainingConfig(
    lr=5e-3,
    optimizer="muon",
    muon_lr=3e-3,
    adam_beta2=0.95,
    schedule="linear",
    short_fraction=0.7,
    growth_fraction=0.8,
    growth_epochs=6,
    dropout_after_epochs=4,
    warmup_steps=40,
    decay_fraction=0.5,
)
PRESETS = {
    "readme": Preset(ModelConfig(), TrainingConfig()),
    "fast": Preset(ModelConfig(), replace(_MUON, weight_decay=0.5)),
    "tiny": Preset(ModelConfig(embed_dim=128, n_heads=4, n_layers=4, feedforward_dim=768), _MUON),
}


def derived_seed(seed: int, number: int) -> int:
    """The seed of the ``number``-th part of a job whose own seed is ``seed``."""
    return (seed + number) % (SEED_MAX + 1)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like ``name``, or an empty string."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def preset(name: str) -> Preset:
    """The preset of that name. Raises ``SettingError``, which lists all, if there is none."""
    require_choice("--preset", name, PRESETS)
    return PRESETS[name]


_Config = TypeVar("_Config", bound=_Checked)


def from_dict(cls: type[_Config], values: Values) -> _Config:
    """A configuration of class ``cls`` from a mapping; unknown keys raise ``SettingError``."""
    known = [item.name for item in fields(cls)]
    for name in values:
        if name not in known:
            raise SettingError("setting.unknown", name=name, nearest=nearest(str(name), known))
    return cls(**values)


def saved_training_config(values: Values) -> TrainingConfig:
    """The settings that a run was saved with. A run from before there was a validation part had
    none. Raises like ``from_dict``, and ``TypeError`` where ``values`` is no mapping."""
    return from_dict(TrainingConfig, {"validation_fraction": 0.0, **values})
