"""``Memory``: a table of the training text, and how it is mixed with what a Transformer predicts.

The mixture is log-linear: softmax(a · log p + b · log q + c · log r) of the Transformer's p, the
table's q and the window's r (products of experts: Hinton, Neural Computation 14, 2002). The three
weights come from a small network that sees how sure each is and how often the contexts occurred
(gating as in Jacobs et al., Neural Computation 3, 1991, and in Mahoney's PAQ). Its parameters are
fitted in ``training.memory``. Does not know tensors, models or files.

Shapes: N places, V = 256 bytes that may follow, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from h2q.memory.counts import contexts
from h2q.memory.table import EVIDENCE, NgramTable, Rows, TableError
from h2q.memory.window import LENGTHS, MOST_WINDOWS, in_windows

SOURCES = 3  # Transformer, table, window
FEATURES = EVIDENCE + len(LENGTHS) + SOURCES
HIDDEN = 16
CLIPPED = 4.0  # standardised features are cut off here: what was never fitted changes little
_GATE = "gate."

Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Gate:
    """The network that weighs the sources: one hidden layer of rectified units."""

    mean: Floats  # (F,), of each feature
    scale: Floats  # (F,)
    hidden_weight: Floats  # (F, HIDDEN)
    hidden_bias: Floats  # (HIDDEN,)
    output_weight: Floats  # (HIDDEN, SOURCES)
    output_bias: Floats  # (SOURCES,)

    def __call__(self, features: Floats) -> Floats:
        """The weights (N, SOURCES) for ``features`` (N, F). A row does not depend on the others."""
        standard = ((features - self.mean) / self.scale).clip(-CLIPPED, CLIPPED)
        # Sums instead of matrix products: their order does not depend on the number of rows.
        hidden = (standard[:, :, None] * self.hidden_weight).sum(1) + self.hidden_bias
        weights: Floats = (hidden.clip(0)[:, :, None] * self.output_weight).sum(1)
        return weights + self.output_bias


_SHAPES = {
    "mean": (FEATURES,),
    "scale": (FEATURES,),
    "hidden_weight": (FEATURES, HIDDEN),
    "hidden_bias": (HIDDEN,),
    "output_weight": (HIDDEN, SOURCES),
    "output_bias": (SOURCES,),
}
_NEUTRAL_WEIGHTS = (0.5, 0.3, 0.2)  # for text too short to choose them on


def neutral_gate() -> Gate:
    """A gate that gives the same weights everywhere."""
    parts = {name: np.zeros(shape, np.float32) for name, shape in _SHAPES.items()}
    parts["scale"] += 1
    return Gate(**{**parts, "output_bias": np.array(_NEUTRAL_WEIGHTS, np.float32)})


@dataclass(frozen=True)
class Recalled:
    """What the memory says at N places, whatever the Transformer says."""

    table: Rows  # (N, V), log-probabilities
    window: Rows  # (N, V), log-probabilities
    evidence: Floats  # (N, F - SOURCES)

    @classmethod
    def joined(cls, parts: Sequence["Recalled"]) -> "Recalled":
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.table for part in parts]),
            np.concatenate([part.window for part in parts]),
            np.concatenate([part.evidence for part in parts]),
        )

    def part(self, places: slice) -> "Recalled":
        return Recalled(self.table[places], self.window[places], self.evidence[places])

    def features(self, surest: Floats) -> Floats:
        """The features (N, F); ``surest`` (N,) is the Transformer's greatest log-probability."""
        sure = (surest, self.table.max(-1), self.window.max(-1))
        return np.concatenate((self.evidence, np.stack(sure, 1)), 1)


@dataclass(frozen=True)
class Memory:
    """What is remembered of the training text beside the weights of a Transformer."""

    table: NgramTable
    gate: Gate

    def arrays(self) -> Arrays:
        """All of it as arrays of bytes by name, for a file."""
        gate = {
            _GATE + item.name: getattr(self.gate, item.name)
            .astype("<f4")
            .reshape(-1)
            .view(np.uint8)
            for item in fields(Gate)
        }
        return {**self.table.arrays, **gate}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.uint8]]) -> "Memory":
        """What ``arrays`` gave. Raises ``TableError`` where they hold no memory."""
        table, parts = dict(arrays), {}
        for name, shape in _SHAPES.items():
            try:
                parts[name] = table.pop(_GATE + name).view("<f4").reshape(shape)
            except (KeyError, ValueError) as error:
                raise TableError(name) from error
            if not np.isfinite(parts[name]).all() or (name == "scale" and (parts[name] <= 0).any()):
                raise TableError(name)
        return cls(NgramTable(table), Gate(**parts))

    def recall(self, windows: Sequence[bytes]) -> Recalled:
        """What the memory says of every byte of ``windows`` but the first, in order; each is seen
        from the bytes before it in its window."""
        parts = [
            self._recall(windows[first : first + MOST_WINDOWS])
            for first in range(0, len(windows), MOST_WINDOWS)
        ]
        return Recalled.joined(parts)

    def _recall(self, windows: Sequence[bytes]) -> Recalled:
        context = [contexts(np.frombuffer(window, np.uint8))[1:-1] for window in windows]
        known, evidence = self.table.probabilities(np.concatenate(context))
        mixed, own_evidence = in_windows(windows, known)
        evidence = np.concatenate((evidence, own_evidence), 1)
        return Recalled(np.log(known, out=known), np.log(mixed, out=mixed), evidence)

    def mix(self, logits: Rows, recalled: Recalled) -> Rows:
        """The logits (N, V) of the mixture, from the Transformer's ``logits`` (N, V). A row does not
        depend on the others."""
        best = logits.max(-1)
        surest = -np.log(np.exp(logits - best[:, None]).sum(-1))
        weights = self.gate(recalled.features(surest))
        mixed: Rows = weights[:, :1] * logits
        mixed += weights[:, 1:2] * recalled.table
        mixed += weights[:, 2:] * recalled.window
        return mixed
