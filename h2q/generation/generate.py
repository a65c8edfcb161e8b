"""The loop that writes text of any length: one stream or many, byte after byte.

What comes out is valid UTF-8, unless another grammar is asked for: bytes that would break it are
masked, and the probabilities of the rest are normalised. They are those of the Transformer, mixed
with those of its memory where it has one. Every stream has its own random numbers, a
row for each byte, and ``Decoder`` computes each row as if it were alone: the text depends only on
model, prompt and settings.

Drafts (speculative decoding, arXiv 2211.17192) are guesses of the next bytes. They are read
together with the last byte. Each position is then sampled as it would have been without a draft,
with the random numbers that belong to it. Guesses are kept up to the first one that differs from
what was sampled. So not only the distribution stays the same, but also the text. Does not know
files or terminals.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h2q.config import SamplingConfig
from h2q.generation.drafting import Drafter
from h2q.generation.grammar import TEXT, Grammar
from h2q.generation.sampling import PENALTY_WINDOW, Sampler, penalized, sampler
from h2q.generation.stopping import LoopGuard, StopStrings
from h2q.memory.mixture import Recalled
from h2q.model.decoder import Decoder
from h2q.model.tokenizer import END_OF_DOCUMENT, START, VOCAB_SIZE, encode
from h2q.model.transformer import Transformer

MOST_STREAMS = 64  # written at once
_MOST_DRAFTED = 15  # bytes in a draft
_DRAFT_ROWS = 128  # in a pass, of all streams; with more, drafts cost more than they save
_NOISE_ROWS = 16  # drawn at a time

_Rows = NDArray[np.float64]  # (N, V), one row for each byte that may be written


@dataclass(frozen=True)
class Generated:
    """A continuation and how it came about."""

    text: bytes
    reason: str  # why it ended: ``end``, ``length``, ``stop``, ``loop`` or ``interrupted``
    nats: float  # its negative log-likelihood, without masks, at temperature 1

    @property
    def bits_per_byte(self) -> float | None:
        """None for an empty text."""
        return self.nats / math.log(2) / len(self.text) if self.text else None


@functools.lru_cache(maxsize=256)
def _shared_sampler(temperature: float, top_k: int, top_p: float, min_p: float) -> Sampler:
    """The same function for the same settings: ``step`` then sees which rows are sampled alike."""
    return sampler(SamplingConfig(temperature, top_k=top_k, top_p=top_p, min_p=min_p))


class Stream:
    """One continuation that is being written.

    With the grammar ``TEXT``, the prompt must end between two characters.
    """

    def __init__(
        self, prompt: bytes, sampling: SamplingConfig, decoder: Decoder, grammar: Grammar = TEXT
    ):
        self.sampling = sampling
        self._grammar = grammar
        self.reason: str | None = None
        self.written = 0
        self.nats = 0.0  # of the text returned so far
        # As in training, a text follows the mark that ended the text before it.
        self._context = bytearray(prompt[-decoder.capacity :] or [END_OF_DOCUMENT])
        self._unread = bytes(self._context)
        self._draft = b""
        self.masks: list[NDArray[np.float64]] = []  # (V,), of each row that is sampled from
        self._state = START
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._noise: _Rows = np.ones((0, VOCAB_SIZE))  # for the next bytes
        self.sample = _shared_sampler(
            sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p
        )
        self._stop = StopStrings([encode(text) for text in sampling.stop])
        self._held_nats: list[float] = []
        self._loop = LoopGuard(sampling.loop_guard) if sampling.loop_guard else None
        self._drafter = Drafter(decoder.memory, sampling.temperature, bytes(self._context))

    def to_read(self, decoder: Decoder, slot: int, draft_bytes: int) -> bytes:
        """What the decoder must read next: bytes not read yet, and a draft of the bytes to come.

        Where the context is full, its older half is dropped. So neither the cost of one byte nor
        the memory depends on how much text came before.
        """
        if len(self._unread) > decoder.free(slot):
            self._context = self._context[-decoder.capacity :]
            decoder.slide(slot)
            self._drafter.begin(bytes(self._context[-decoder.lengths[slot] :]))
        room = decoder.free(slot) - len(self._unread)
        limit = min(draft_bytes, room, self.sampling.max_length - self.written - 1)
        self._set_draft(self._drafter.draft(self._context, self.noise(max(0, limit))))
        return self._unread + self._draft

    @property
    def rows(self) -> int:
        """How many rows of logits are sampled from: the last ones of what was read."""
        return 1 + len(self._draft)

    def take(
        self,
        tokens: NDArray[np.int64],
        nats: NDArray[np.float64],
        decoder: Decoder,
        slot: int,
    ) -> bytes:
        """Adds what was sampled from each row (N,), with its cost (N,), as far as the draft was
        right. Returns the text that is certain."""
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
        self._drafter.learn(token)
        self._state = self._grammar.transitions[self._state][token]
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

    def noise(self, count: int) -> _Rows:
        """The random numbers (N, V) of the next ``count`` bytes. They belong to the
        bytes: a second call before a byte is written returns the same numbers."""
        if count > len(self._noise):
            shape = max(_NOISE_ROWS, count), VOCAB_SIZE
            greedy = self.sampling.temperature == 0
            drawn = np.ones(shape) if greedy else self._random.standard_exponential(shape)
            self._noise = np.concatenate([self._noise, drawn])
        return self._noise[:count]

    def _set_draft(self, guess: bytes) -> None:
        """Keeps the part of ``guess`` that the masks permit, and the masks."""
        state, budget = self._state, self.sampling.max_length - self.written
        self._draft = guess
        self.masks = [self._grammar.mask(state, budget)]
        for index, byte in enumerate(guess):
            if self.masks[-1][byte] < 0 or byte == END_OF_DOCUMENT:
                self._draft = guess[:index]
                break
            state = self._grammar.transitions[state][byte]
            self.masks.append(self._grammar.mask(state, budget - index - 1))

    def recalled(self) -> Recalled:
        """What the memory says of each row that is sampled from."""
        return self._drafter.recalled(self.rows)

    def penalized(self, rows: _Rows) -> _Rows:
        """``rows`` (N, V) of logits, each with the repetition penalty for the bytes before it."""
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
    """One pass over the streams in these slots. Returns for each the text that became certain.

    All rows that are sampled in the same way are sampled at once.
    """
    slots = sorted(active)
    streams = [active[slot] for slot in slots]
    found = decoder.read(
        [(slot, active[slot].to_read(decoder, slot, draft_bytes)) for slot in slots]
    )
    parts = _mixed(decoder, streams, [r[-s.rows :] for s, r in zip(streams, found)])
    alike: dict[Sampler, list[int]] = {}
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


def _mixed(
    decoder: Decoder, streams: list[Stream], logits: list[NDArray[np.float32]]
) -> list[_Rows]:
    """The logits (N, V) that each stream is sampled from, given those of the Transformer."""
    if decoder.memory is not None:
        recalled = Recalled.joined([stream.recalled() for stream in streams])
        mixed = decoder.memory.mix(np.concatenate(logits), recalled)
        logits = np.split(mixed, np.cumsum([len(rows) for rows in logits])[:-1])
    return [rows.astype(np.float64) for rows in logits]


def write(
    decoder: Decoder, requests: Iterable[Callable[[], Stream]], draft: bool = True
) -> Iterator[tuple[int, Stream, bytes]]:
    """Writes for all ``requests``; each is begun when a slot of the decoder becomes free.

    Yields (number of the request, stream, text that has become certain). The last text of a stream
    comes with its ``reason`` set.
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

    The prompt must end between two characters. The model sees the last ``context_length`` bytes of
    it, and later at least half as many bytes. With ``draft`` the same text comes faster.
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
    grammar: Grammar = TEXT,
) -> list[Generated]:
    """A continuation of each prompt with its own settings, many at once.

    Each is the one that ``generate`` would write. With the grammar ``TEXT``, prompts must end
    between two characters.
    """
    if isinstance(model, Decoder):
        decoder = model
    else:
        decoder = Decoder(model, max(1, min(MOST_STREAMS, len(prompts))))
    requests = [
        functools.partial(Stream, prompt, settings, decoder, grammar)
        for prompt, settings in zip(prompts, sampling, strict=True)
    ]
    texts = [bytearray() for _ in prompts]
    done: dict[int, Generated] = {}
    for number, stream, text in write(decoder, requests, draft):
        texts[number] += text
        if stream.reason:
            done[number] = Generated(bytes(texts[number]), stream.reason, stream.nats)
    return [done[number] for number in range(len(prompts))]
