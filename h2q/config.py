"""Every setting with its meaning, unit and permitted range, and the presets.

A configuration checks itself when it is made: a value of the wrong type or out of range raises
``SettingError`` with the value in the message, so no other module checks settings again.
"""

import difflib
import math
from dataclasses import dataclass, field, fields, replace

from h2q.system.errors import SettingError

EXPORT_FORMATS = ("safetensors", "transformers")
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16")
SEED_MAX = 2**31 - 1


def _setting(default, minimum, maximum):
    return field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def _choice(default, choices):
    return field(default=default, metadata={"choices": choices})


class _Checked:
    """Checks each field of a dataclass against its type and range, or its choices."""

    def __post_init__(self):
        for item in fields(self):
            if not item.metadata:  # checked by its own class
                continue
            value = getattr(self, item.name)
            numeric = (int, float) if item.type is float else (item.type,)
            if isinstance(value, bool) or not isinstance(value, numeric):
                raise SettingError(
                    "setting.type", name=item.name, value=value, type=item.type.__name__
                )
            if choices := item.metadata.get("choices"):
                if value not in choices:
                    known = ", ".join(choices)
                    raise SettingError("setting.choice", name=item.name, value=value, known=known)
                continue
            minimum, maximum = item.metadata["minimum"], item.metadata["maximum"]
            if not minimum <= value <= maximum:
                raise SettingError(
                    "setting.range",
                    name=item.name,
                    value=value,
                    minimum=minimum,
                    maximum=maximum,
                )


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

    def __post_init__(self):
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
    max_minutes: float = _setting(0.0, 0.0, 1e6)  # the run is planned for; 0: as epochs say
    lr: float = _setting(1e-4, 1e-9, 10.0)  # peak learning rate of AdamW
    batch_size: int = _setting(8, 1, 65536)  # windows a step
    seed: int = _setting(42, 0, SEED_MAX)
    optimizer: str = _choice("adamw", ("adamw", "muon"))  # of the layers' matrices
    muon_lr: float = _setting(2e-3, 1e-9, 10.0)  # peak learning rate of Muon
    adam_beta2: float = _setting(0.999, 0.0, 0.999999)
    # Share of the run, its first part, in which windows are a quarter and then half as long, and
    # each quarter or half of a batch is an update.
    short_fraction: float = _setting(0.0, 0.0, 1.0)
    # Share of the run, its first part, in which only the first third of the layers is trained.
    growth_fraction: float = _setting(0.0, 0.0, 1.0)
    # Epochs above which all are trained from the start: few layers learn a text by heart.
    growth_epochs: int = _setting(1_000_000, 0, 1_000_000)
    # Epochs without dropout at the start: what was seldom seen is not learnt by heart.
    dropout_after_epochs: int = _setting(0, 0, 1_000_000)
    weight_decay: float = _setting(0.01, 0.0, 10.0)
    schedule: str = _choice("cosine", ("cosine", "linear"))  # how the learning rate decays
    warmup_steps: int = _setting(0, 0, 1_000_000)  # until the learning rate reaches its peak
    decay_fraction: float = _setting(1.0, 1e-6, 1.0)  # of the run, in which ``linear`` decays
    min_lr_ratio: float = _setting(0.0, 0.0, 1.0)  # of the peak, to which ``linear`` decays
    clip_norm: float = _setting(1.0, 1e-6, 1e6)  # largest norm of the gradient
    eval_bytes: int = _setting(65_536, 512, 2**40)  # most held-out bytes read an evaluation
    save_interval_seconds: float = _setting(180.0, 0.0, 1e9)  # between saves within an epoch
    # Epochs without a lower held-out loss after which a run ends early; 0: never.
    patience: int = _setting(0, 0, 1_000_000)

    @property
    def growth(self) -> float:
        """``growth_fraction``, or 0 in a run that is known to have more than ``growth_epochs``."""
        many = not self.max_minutes and self.epochs > self.growth_epochs
        return 0.0 if many else self.growth_fraction

    def first_depth(self, n_layers: int) -> int:
        """How many of ``n_layers`` layers are trained at least."""
        return math.ceil(n_layers / 3) if self.growth_fraction else n_layers


@dataclass(frozen=True)
class SamplingConfig(_Checked):
    """How a continuation is drawn from the model, and what ends it besides the model."""

    temperature: float = _setting(0.8, 0.0, 10.0)  # 0 is greedy
    max_length: int = _setting(200, 1, 2**40)  # bytes generated at the most
    seed: int = _setting(42, 0, SEED_MAX)
    top_k: int = _setting(0, 0, 256)  # only the k most likely bytes; 0: all
    top_p: float = _setting(1.0, 1e-6, 1.0)  # only the likeliest that make up this probability
    min_p: float = _setting(0.0, 0.0, 1.0)  # only those at least this share of the likeliest
    repetition_penalty: float = _setting(1.0, 0.1, 10.0)  # on the last 64 bytes; 1: none
    loop_guard: int = _setting(0, 0, 1000)  # ends text that says one thing so often in a row; 0: no
    stop: tuple = ()  # strings that end the text and are not part of it

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.stop, tuple) or not all(
            isinstance(text, str) and text for text in self.stop
        ):
            raise SettingError("setting.stop", value=self.stop)
        if self.loop_guard == 1:  # everything is said once
            raise SettingError("setting.range", name="loop_guard", value=1, minimum=2, maximum=1000)


@dataclass(frozen=True)
class EvolutionConfig(_Checked):
    """How a model evolves."""

    cycles: int = _setting(3, 1, 1_000_000)
    max_minutes: float = _setting(0.0, 0.0, 1e6)  # of all cycles together; 0: as many as needed
    cycle_bytes: int = _setting(1_048_576, 1024, 2**40)  # text a cycle trains on, replay included
    exposures: int = _setting(200, 1, 100_000)  # documents about a new fact, at first
    review_fraction: float = _setting(0.1, 0.0, 0.9)  # least share, about facts learnt before
    replay_fraction: float = _setting(0.4, 0.0, 0.95)  # of the text: the person's own
    unasked_share: float = _setting(0.2, 0.0, 1.0)  # of entities no question is ever trained on
    lr: float = _setting(4e-3, 1e-9, 10.0)  # peak of AdamW's, from which it falls to 0


@dataclass(frozen=True)
class Preset:
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


def nearest(name: str, known) -> str:
    """The known name most like ``name``, or an empty string."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def preset(name: str) -> Preset:
    """The preset of that name; ``SettingError`` lists those there are."""
    if name not in PRESETS:
        raise SettingError("setting.choice", name="--preset", value=name, known=", ".join(PRESETS))
    return PRESETS[name]


def from_dict(cls, values: dict):
    """A configuration of class ``cls`` from a mapping; unknown keys raise ``SettingError``."""
    known = [item.name for item in fields(cls)]
    for name in values:
        if name not in known:
            raise SettingError("setting.unknown", name=name, nearest=nearest(str(name), known))
    return cls(**values)
