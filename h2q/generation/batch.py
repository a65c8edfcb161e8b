"""Many prompts at once: answered together, written as text or as JSON.

Reading them is for ``prompts``.
"""

import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from h2q.generation.answer import shown
from h2q.generation.generate import MOST_STREAMS, Generated, Stream, write
from h2q.generation.inference import LocalInferenceModel
from h2q.generation.prompts import Prompt, PromptsFile
from h2q.model.tokenizer import decode, encode
from h2q.system.console import Console
from h2q.system.errors import PromptsError


@dataclass(frozen=True)
class Answer:
    """What was written after one prompt."""

    prompt: Prompt
    generated: Generated
    seconds: float  # from its first byte read to its last byte written


def answers(
    model: LocalInferenceModel, prompts: Iterable[Prompt], at_once: int = MOST_STREAMS
) -> Iterator[Answer]:
    """An answer to each of ``prompts``, in the order in which they are finished.

    At Ctrl-C the unfinished answers are yielded as they are; then ``KeyboardInterrupt`` is raised.
    """
    decoder = model.decoder(at_once)
    working: dict[int, _Working] = {}

    def requests() -> Iterator[Callable[[], Stream]]:
        for number, prompt in enumerate(prompts):
            working[number] = _Working(prompt, time.monotonic())
            yield functools.partial(Stream, encode(prompt.text), prompt.sampling, decoder)

    try:
        for number, stream, text in write(decoder, requests()):
            working[number].nats = stream.nats
            working[number].text += text
            if stream.reason:
                yield working.pop(number).answer(stream.reason)
    except KeyboardInterrupt:
        for unfinished in working.values():
            yield unfinished.answer("interrupted")
        raise


@dataclass
class _Working:
    """An answer that is being written."""

    prompt: Prompt
    started: float
    nats: float = 0.0
    text: bytearray = field(default_factory=bytearray)

    def answer(self, reason: str) -> Answer:
        generated = Generated(bytes(self.text), reason, self.nats)
        return Answer(self.prompt, generated, time.monotonic() - self.started)


def answer_all(
    model: LocalInferenceModel,
    prompts: Iterable[Prompt],
    as_json: bool,
    console: Console,
    at_once: int = MOST_STREAMS,
) -> None:
    """Writes each answer as soon as it is finished. Raises ``PromptsError`` at the end when lines
    were left out."""
    for answer in answers(model, prompts, at_once):
        if as_json:
            console.data(_as_json(answer))
        else:
            text = shown(answer.prompt.text)
            console.say("chat.prompt", prompt=text)
            console.write(text + decode(answer.generated.text) + "\n")
    if isinstance(prompts, PromptsFile) and prompts.broken:
        raise PromptsError("prompts.broken", path=prompts.path, count=prompts.broken)


def _as_json(answer: Answer) -> str:
    values = {
        "line": answer.prompt.line,
        "prompt": decode(encode(answer.prompt.text)),
        "text": decode(answer.generated.text),
        "bits_per_byte": answer.generated.bits_per_byte,
        "reason": answer.generated.reason,
        "seconds": round(answer.seconds, 4),
        "seed": answer.prompt.sampling.seed,
    }
    return json.dumps(values, ensure_ascii=False)
