"""A demonstration: prompts continued as a person watches, and how the model came about."""

import contextlib
import time
from dataclasses import replace

from h2q.config import SamplingConfig, derived_seed
from h2q.generation.inference import LocalInferenceModel
from h2q.model.tokenizer import encode
from h2q.system.console import Console

_SHOWN_CHARACTERS = 2000  # of a prompt: who pastes ten megabytes knows what they are


def reseeded(sampling: SamplingConfig, turn: int) -> SamplingConfig:
    """Settings for one turn: each has random numbers of its own, or answers would look alike."""
    return replace(sampling, seed=derived_seed(sampling.seed, turn))


def shown(prompt: str) -> str:
    """The prompt, or the end of one that would fill the screen."""
    return prompt if len(prompt) <= _SHOWN_CHARACTERS else "…" + prompt[-_SHOWN_CHARACTERS:]


def answer(
    model: LocalInferenceModel,
    prompt: str,
    sampling: SamplingConfig,
    console: Console,
    before: str = "",
) -> str:
    """Streams prompt and continuation to the console, and returns the continuation; the model also
    sees what was said ``before``. Ctrl-C ends the answer, not the program."""
    kept = model.model.config.context_length
    if (prompt_bytes := len(encode(prompt))) > kept:
        console.warn("chat.cut", kept=kept, size=prompt_bytes)
    started = time.monotonic()
    written = []
    console.write(shown(prompt))
    with contextlib.suppress(KeyboardInterrupt):
        for text in model.stream(before + prompt, sampling):
            written.append(text)
            console.write(text)
    console.write("\n")
    text = "".join(written)
    count = len(encode(text))
    speed = count / max(time.monotonic() - started, 1e-9)
    console.say("chat.speed", count=count, speed=speed)
    return text
