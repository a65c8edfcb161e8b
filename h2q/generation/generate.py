"""The loop that writes text without end: one stream or many, byte after byte.

What comes out is always valid UTF-8: bytes that would break it are masked and the rest
renormalised. Every stream draws with random numbers of its own, a row for each byte it writes, and
``Decoder`` computes each row as if alone: the text depends on model, prompt, and settings only.

Drafts (speculative decoding, arXiv 2211.17192) are guesses of the next bytes that are read
together with the last one. Each position is then sampled as it would have been without them, with
the random numbers that belong to it; guesses count as long as they are what was sampled. So not
only the distribution stays the same, but the text. Does not know of files or terminals.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from h2q.config import SamplingConfig
from h2q.generation.drafting import Drafter
from h2q.generation.sampling import PENALTY_WINDOW, penalized, sampler
from h2q.generation.stopping import LoopGuard, StopStrings
from h2q.model.decoder import Decoder
from h2q.model.tokenizer import (
    END_OF_DOCUMENT,
    START,
    TRANSITIONS,
    VOCAB_SIZE,
    allowed_bytes,
    encode,
)
from h2q.model.transformer import Transformer

MOST_STREAMS = 64  # written at once
_MOST_DRAFTED = 15  # bytes at a time
_DRAFT_ROWS = 128  # read at a time, over all streams; beyond, drafts cost more than they save
_NOISE_ROWS = 16  # drawn at a time
_CONTROLS = {*range(0x20), 0x7F} - set(b"\t\n\r")
_CHARACTER_BYTES = 4  # the longest character of UTF-8


@dataclass(frozen=True)
class Generated:
    """A continuation, why it ended (``end``, ``length``, ``stop`` or ``loop``), and its
    information under the model in nats: unmasked, at temperature 1."""

    text: bytes
    reason: str
    nats: float

    @property
    def bits_per_byte(self) -> float | None:
        """None for an empty text."""
        return self.nats / math.log(2) / len(self.text) if self.text else None


@functools.cache
def _mask(state: int, budget: int) -> np.ndarray:
    mask = np.full(VOCAB_SIZE, -np.inf)
    mask[[byte for byte in allowed_bytes(state, budget) if byte not in _CONTROLS]] = 0.0
    if state == START:
        mask[END_OF_DOCUMENT] = 0.0
    return mask


def next_token_mask(state: int, budget: int) -> np.ndarray:
    """0 for tokens that may come next, -inf for the others, (V,), for a UTF-8 ``state`` with
    ``budget`` bytes left to write.

    The text may end between two characters only. Control characters but tab and line ends are
    left out: they are no text, and a terminal would obey them.
    """
    return _mask(state, min(budget, _CHARACTER_BYTES))


@functools.lru_cache(maxsize=256)
def _shared_sampler(temperature: float, top_k: int, top_p: float, min_p: float):
    """The same function for the same settings: so it is seen that rows can be sampled together."""
    return sampler(SamplingConfig(temperature, top_k=top_k, top_p=top_p, min_p=min_p))


class Stream:
    """One continuation on its way. The prompt must end between two characters."""

    def __init__(self, prompt: bytes, sampling: SamplingConfig, decoder: Decoder):
        self.sampling = sampling
        self.reason: str | None = None
        self.written = 0
        self.nats = 0.0  # of the text let out so far
        # A text begins behind the mark that ended the one before.
        self._context = bytearray(prompt[-decoder.capacity :] or [END_OF_DOCUMENT])
        self._unread = bytes(self._context)
        self._draft = b""
        self.masks: list[np.ndarray] = []  # (V,), of each row that is sampled from
        self._state = START
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._noise = np.ones((0, VOCAB_SIZE))  # of the next bytes
        self.sample = _shared_sampler(
            sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p
        )
        self._stop = StopStrings([encode(text) for text in sampling.stop])
        self._held_nats: list[float] = []
        self._loop = LoopGuard(sampling.loop_guard) if sampling.loop_guard else None
        self._drafter = Drafter(decoder.drafts, sampling.temperature)

    def to_read(self, decoder: Decoder, slot: int, draft_bytes: int) -> bytes:
        """What the decoder must read next: bytes not read yet, and a draft of those to come.

        Where the context is full its older half is dropped, so a byte costs the same however much
        was written, and memory stays as it is.
        """
        if len(self._unread) > decoder.free(slot):
            self._context = self._context[-decoder.capacity :]
            decoder.slide(slot)
        room = decoder.free(slot) - len(self._unread)
        limit = min(draft_bytes, room, self.sampling.max_length - self.written - 1)
        guess = self._drafter.draft(self._context, self.noise(limit)) if limit > 0 else b""
        self._set_draft(guess)
        return self._unread + self._draft

    @property
    def rows(self) -> int:
        """How many of the last rows of logits are sampled from."""
        return 1 + len(self._draft)

    def take(self, tokens: np.ndarray, nats: np.ndarray, decoder: Decoder, slot: int) -> bytes:
        """Adds what was sampled from each row and cost so much, as far as the draft was right;
        returns the text that is certain."""
        agreed = 0
        while agreed < len(self._draft) and tokens[agreed] == self._draft[agreed]:
            agreed += 1
        decoder.keep(slot, decoder.lengths[slot] - len(self._draft) + agreed)
        text = b""
        for token, cost in zip(tokens[: agreed + 1].tolist(), nats.tolist()):
            text += self._add(token, cost)
            if self.reason:
                break
        self._noise = self._noise[agreed + 1 :]
        self._unread = bytes(self._context[-1:])
        return text

    def _add(self, token: int, nats: float) -> bytes:
        if token == END_OF_DOCUMENT:
            return self._end("end")
        self._context.append(token)
        self._drafter.learn(self._context)
        self._state = TRANSITIONS[self._state][token]
        self.written += 1
        self._held_nats.append(nats)
        text, stopped = self._stop.add(token)
        self.nats += sum(self._held_nats[: len(text)])
        del self._held_nats[: len(text)]
        if stopped:
            self.reason = "stop"
            return text
        if self._loop and self._loop.add(token):
            return text + self._end("loop")
        if self.written == self.sampling.max_length:
            return text + self._end("length")
        return text

    def _end(self, reason: str) -> bytes:
        self.reason = reason
        self.nats += sum(self._held_nats)
        return self._stop.finish()

    def noise(self, count: int) -> np.ndarray:
        """The random numbers of the next bytes (N, V), the same ones until a byte is written."""
        if count > len(self._noise):
            shape = max(_NOISE_ROWS, count), VOCAB_SIZE
            greedy = self.sampling.temperature == 0
            drawn = np.ones(shape) if greedy else self._random.standard_exponential(shape)
            self._noise = np.concatenate([self._noise, drawn])
        return self._noise[:count]

    def _set_draft(self, guess: bytes) -> None:
        """Takes the part of ``guess`` that the masks let through, and keeps these."""
        state, budget = self._state, self.sampling.max_length - self.written
        self._draft = guess
        self.masks = [next_token_mask(state, budget)]
        for index, byte in enumerate(guess):
            if self.masks[-1][byte] < 0 or byte == END_OF_DOCUMENT:
                self._draft = guess[:index]
                break
            state = TRANSITIONS[state][byte]
            self.masks.append(next_token_mask(state, budget - index - 1))

    def penalized(self, rows: np.ndarray) -> np.ndarray:
        """``rows`` (N, V) of logits, each with the penalty that its past asks for."""
        if self.sampling.repetition_penalty == 1.0:
            return rows
        text = bytes(self._context[-PENALTY_WINDOW:]) + self._draft
        end = len(text) - len(self._draft)
        seen = np.zeros(rows.shape, dtype=bool)
        for index in range(len(rows)):
            past = text[max(0, end + index - PENALTY_WINDOW) : end + index]
            seen[index, list(past)] = True
        return penalized(rows, seen, self.sampling.repetition_penalty)


def step(decoder: Decoder, active: dict[int, Stream], draft_bytes: int) -> dict[int, bytes]:
    """One pass over the streams in these slots; returns the text of each that is newly certain.

    All rows that are sampled in the same way are sampled at once.
    """
    slots = sorted(active)
    streams = [active[slot] for slot in slots]
    found = decoder.read(
        [(slot, active[slot].to_read(decoder, slot, draft_bytes)) for slot in slots]
    )
    parts = [rows[-stream.rows :].astype(np.float64) for stream, rows in zip(streams, found)]
    alike: dict[Callable, list[int]] = {}
    for index, stream in enumerate(streams):
        alike.setdefault(stream.sample, []).append(index)
    texts = {}
    for sample, members in alike.items():
        logits = np.concatenate([parts[index] for index in members])
        masked = np.concatenate([streams[index].penalized(parts[index]) for index in members])
        masked += [mask for index in members for mask in streams[index].masks]
        noise = np.concatenate([streams[index].noise(streams[index].rows) for index in members])
        tokens = sample(masked, noise)
        best = logits.max(-1)
        nats = np.log(np.exp(logits - best[:, None]).sum(-1)) + best
        nats -= logits[np.arange(len(logits)), tokens]
        first = 0
        for index in members:
            slot, stream = slots[index], streams[index]
            rows = slice(first, first + stream.rows)
            first = rows.stop
            texts[slot] = stream.take(tokens[rows], nats[rows], decoder, slot)
    return texts


def write(
    decoder: Decoder, requests: Iterable[Callable[[], Stream]], draft: bool = True
) -> Iterator[tuple[int, Stream, bytes]]:
    """Works on all ``requests``, taken as slots of the decoder become free.

    Yields (number of the request, stream, text newly certain) as it is written; a stream's last
    one has its ``reason`` set.
    """
    waiting = enumerate(requests)
    active: dict[int, tuple[int, Stream]] = {}
    while True:
        for slot in range(len(decoder.lengths)):
            if slot not in active and (request := next(waiting, None)) is not None:
                active[slot] = request[0], request[1]()
                decoder.keep(slot, 0)
        if not active:
            return
        draft_bytes = min(_MOST_DRAFTED, _DRAFT_ROWS // len(active) - 1) if draft else 0
        streams = {slot: stream for slot, (_, stream) in active.items()}
        for slot, text in step(decoder, streams, draft_bytes).items():
            number, stream = active[slot]
            if stream.reason:
                del active[slot]
            if text or stream.reason:
                yield number, stream, text


def generate(
    model: Transformer | Decoder, prompt: bytes, sampling: SamplingConfig, draft: bool = True
) -> Iterator[int]:
    """Bytes that continue ``prompt``, at most ``sampling.max_length``, until something ends it.

    The prompt must end between two characters. The model sees the last ``context_length`` bytes,
    and after that at least half as many. With ``draft`` the same text comes faster.
    """
    decoder = model if isinstance(model, Decoder) else Decoder(model)
    request = functools.partial(Stream, prompt, sampling, decoder)
    for _, _, text in write(decoder, [request], draft):
        yield from text


def generate_batch(
    model: Transformer | Decoder,
    prompts: Sequence[bytes],
    sampling: Sequence[SamplingConfig],
    draft: bool = True,
) -> list[Generated]:
    """A continuation of each prompt with its own settings, many at once.

    Each is the one that ``generate`` would write. Prompts must end between two characters.
    """
    if isinstance(model, Decoder):
        decoder = model
    else:
        decoder = Decoder(model, max(1, min(MOST_STREAMS, len(prompts))))
    requests = [
        functools.partial(Stream, prompt, settings, decoder)
        for prompt, settings in zip(prompts, sampling, strict=True)
    ]
    texts = [bytearray() for _ in prompts]
    done: list[Generated | None] = [None] * len(prompts)
    for number, stream, text in write(decoder, requests, draft):
        texts[number] += text
        if stream.reason:
            done[number] = Generated(bytes(texts[number]), stream.reason, stream.nats)
    return done
