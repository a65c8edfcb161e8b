"""Junk is left out before anything is sealed, so it is neither trained on nor measured.

A stretch is junk when its characters stand in no order (``datasets.disorder``) and the base model,
which was trained on such text too, predicts it no better than the frequencies of its single
characters do. The first test alone would suspect text of a kind that it was not made for; the
second alone would suspect Chinese where the base has seen little of it. What was left out is
written down: an evolution that goes on, or a later one of the same base, leaves out the same.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from h2q.datasets.corpus import ByteStream, Corpus
from h2q.datasets.disorder import Unit, disorderly
from h2q.evaluation.byte_losses import byte_losses
from h2q.evolution import records
from h2q.evolution.records import Record
from h2q.model.tokenizer import decode
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.files import sha256_of_file
from h2q.system.paths import OutputPaths

_BETTER = 0.97  # of the entropy of single characters: with less, the base has learnt something
_MOST_ASKED = 256  # units that the base predicts; the verdict on each holds for those behind it
_ROWS = 16  # predicted at once
_SAMPLE_CHARACTERS = 48
Pieces = list[tuple[int, int]]  # start and bytes in a stream


@dataclass(frozen=True)
class LeftOut(Record):
    """What was left out of the parts of a text (``left_out_….json``, a file for each text)."""

    base: str  # hash of the file of the model that was asked
    pieces: int
    bytes: int
    sample: str  # how the first piece begins
    train: Pieces
    validation: Pieces
    heldout: Pieces


def without_junk(
    corpus: Corpus,
    champion: Transformer,
    provenance: dict[str, Any],
    paths: OutputPaths,
    dtype: torch.dtype,
    console: Console,
) -> Corpus:
    """``corpus`` without its junk; a part of it of which too little would remain stays whole. Says
    what was left out.

    ``champion`` is the model of ``paths``, and ``provenance`` what its file says of it. It is asked
    only where there is no record of this text by its base.
    """
    digest = sha256_of_file(paths.model)
    is_base = "evolution_cycle" not in provenance
    path = paths.left_out(corpus.fingerprint)
    found = records.load(LeftOut, path)
    if found is None or (is_base and found.base != digest):
        found = _judged(corpus, digest, champion, dtype)
        records.save(found, path)
    if found.pieces:
        console.say(
            "evolve.junk",
            pieces=found.pieces,
            size=found.bytes,
            share=found.bytes / (len(corpus.text) + len(corpus.heldout)),
            sample=found.sample,
        )
    return replace(
        corpus,
        train=_without(corpus.train, found.train),
        validation=_without(corpus.validation, found.validation),
        heldout=_without(corpus.heldout, found.heldout),
    )


def _judged(corpus: Corpus, base: str, model: Transformer, dtype: torch.dtype) -> LeftOut:
    length = model.config.context_length
    parts: dict[str, Pieces] = {}
    sample = ""
    for name in ("train", "validation", "heldout"):
        stream = getattr(corpus, name)
        pieces = _joined(_junk_of(stream, model, dtype))
        if len(stream) - sum(size for _, size in pieces) <= length:
            pieces = []
        if pieces and not sample:
            sample = decode(stream.read(*pieces[0]))[:_SAMPLE_CHARACTERS]
        parts[name] = pieces
    every = [size for pieces in parts.values() for _, size in pieces]
    return LeftOut(
        base=base,
        pieces=len(every),
        bytes=sum(every),
        sample=" ".join(sample.split()),
        **parts,
    )


def _junk_of(stream: ByteStream, model: Transformer, dtype: torch.dtype) -> list[Unit]:
    """The units of ``stream`` that are junk. Where there are very many without order, the base is
    asked about some, evenly spaced."""
    units = disorderly(stream)
    if not units:
        return []
    groups = np.array_split(np.arange(len(units)), min(len(units), _MOST_ASKED))
    asked = [units[group[0]] for group in groups]
    own = np.array([unit.bits_per_byte for unit in asked])
    learnt = _bits_per_byte(stream, asked, model, dtype) < _BETTER * own
    return [units[index] for group, known in zip(groups, learnt) if not known for index in group]


def _bits_per_byte(
    stream: ByteStream, units: list[Unit], model: Transformer, dtype: torch.dtype
) -> NDArray[np.float64]:
    """The cost of each of ``units``, as far as it fits into the window, for the model alone: its
    memory holds the text itself."""
    most = model.config.context_length + 1
    rows = [stream.read(unit.start, min(unit.length, most)) for unit in units]
    costs = np.empty(len(rows))
    for first in range(0, len(rows), _ROWS):
        batch = rows[first : first + _ROWS]
        for index, (losses, row) in enumerate(zip(byte_losses(model, batch, dtype), batch)):
            costs[first + index] = float(losses[: len(row) - 1].mean()) / math.log(2)
    return costs


def _joined(units: list[Unit]) -> Pieces:
    """The pieces that ``units``, which are in order, make up together."""
    pieces: Pieces = []
    for unit in units:
        if pieces and sum(pieces[-1]) == unit.start:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + unit.length)
        else:
            pieces.append((unit.start, unit.length))
    return pieces


def _without(stream: ByteStream, pieces: Pieces) -> ByteStream:
    """``stream`` without these ``pieces``, which are in order and do not overlap."""
    if not pieces:
        return stream
    cuts = {
        0,
        *np.cumsum(stream.lengths).tolist(),
    }  # nothing that is kept may cross a segment's end
    for start, size in pieces:
        cuts |= {start, start + size}
    begins, sizes = np.array(pieces).T
    kept = []
    for start, end in pairwise(sorted(cuts)):
        before = int(begins.searchsorted(start, side="right")) - 1
        if before < 0 or start >= begins[before] + sizes[before]:
            kept.append((start, end - start))
    return stream.part(kept)
