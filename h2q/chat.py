"""A demonstration: prompts continued as a person watches, and how the model came about."""

import contextlib
import time
from dataclasses import replace
from pathlib import Path

from h2q.config import EVOLUTION_STATS, TRAINING_LOG, SamplingConfig, derived_seed
from h2q.console import Console
from h2q.errors import UnusableInput
from h2q.evolution import read_stats
from h2q.files import read_json
from h2q.inference import LocalInferenceModel
from h2q.tokenizer import encode

DEMO_PROMPTS = ("人工智能是", "机器学习", "量子计算可以", "深度学习")
_SHOWN_CHARACTERS = 2000  # of a prompt: who pastes ten megabytes knows what they are


def demo(
    model: LocalInferenceModel, prompts: tuple[str, ...], sampling: SamplingConfig, console: Console
) -> None:
    """Continues each prompt, then shows the latest training and evolution statistics."""
    for turn, prompt in enumerate(prompts):
        console.say("chat.prompt", prompt=shown(prompt))
        answer(model, prompt, reseeded(sampling, turn), console)
    _show_statistics(model.path.parent.parent, console)


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


def _show_statistics(output_dir: Path, console: Console) -> None:
    """The last epoch of the training log and the evolution statistics; a damaged file is named."""
    log_path = output_dir / TRAINING_LOG
    try:
        if log_path.exists():
            _show_last_epoch(log_path, console)
        else:
            console.say("chat.no_training")
    except UnusableInput as error:
        console.warn("error", error=error)
    try:
        if (output_dir / EVOLUTION_STATS).exists():
            console.say("evolve.stats", **read_stats(output_dir))
        else:
            console.say("chat.no_evolution")
    except UnusableInput as error:
        console.warn("error", error=error)


def _show_last_epoch(log_path: Path, console: Console) -> None:
    log = read_json(log_path)
    try:
        console.say("chat.training", **log[-1])
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise UnusableInput("file.json", path=log_path, reason="not a training log") from error
