"""One answer on the console: the prompt and its continuation, while it is written.

Does not keep a conversation; that is for ``conversation``.
"""

import contextlib
import time
from dataclasses import replace

from h2q.config import SamplingConfig, derived_seed
from h2q.generation.inference import LocalInferenceModel
from h2q.model.tokenizer import encode
from h2q.system.console import Console

_SHOWN_CHARACTERS = 2000  # of a prompt: nobody wants to read a pasted file again


def reseeded(sampling: SamplingConfig, turn: int) -> SamplingConfig:
    """Settings for one turn. Each turn has its own seed, or answers would be alike."""
    return replace(sampling, seed=derived_seed(sampling.seed, turn))


def shown(prompt: str) -> str:
    """The prompt, or the end of one that is too long for a screen."""
    return prompt if len(prompt) <= _SHOWN_CHARACTERS else "…" + prompt[-_SHOWN_CHARACTERS:]


def answer(
    model: LocalInferenceModel,
    prompt: str,
    sampling: SamplingConfig,
    console: Console,
    before: str = "",
) -> str:
    """Writes the prompt and its continuation to the console, and returns the continuation. The
    model also sees what was said ``before``. Ctrl-C ends the answer, not the program."""
    kept = model.model.config.context_length
    if (prompt_bytes := len(encode(prompt))) > kept:
        console.warn("chat.cut", kept=kept, size=prompt_bytes)
    started = time.monotonic()
    written: list[str] = []
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
