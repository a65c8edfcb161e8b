"""What ends a text besides the model and its length: a stop string, or going round in circles.

Both read the text byte by byte, in constant memory.
"""

from collections.abc import Sequence

import numpy as np

LONGEST_LOOP = 256  # bytes of the longest passage that is noticed when it comes again
_LEAST_BYTES = 32  # all repetitions together: 哈哈哈 is no loop


class StopStrings:
    """Holds back what may become a stop string, until it is one or is not."""

    def __init__(self, stop: Sequence[bytes]):
        self._stop = stop
        self.held = bytearray()

    def add(self, byte: int) -> tuple[bytes, bool]:
        """What is certain to be text after this byte, and whether a stop string is complete: it
        and nothing of it is ever text."""
        self.held.append(byte)
        for stop in self._stop:
            if self.held.endswith(stop):
                return bytes(self.held[: -len(stop)]), True
        longest = max((self._overlap(stop) for stop in self._stop), default=0)
        certain = len(self.held) - longest
        text = bytes(self.held[:certain])
        del self.held[:certain]
        return text, False

    def _overlap(self, stop: bytes) -> int:
        """Bytes at the end of what is held that ``stop`` begins with."""
        most = min(len(stop) - 1, len(self.held))
        return next((n for n in range(most, 0, -1) if self.held.endswith(stop[:n])), 0)

    def finish(self) -> bytes:
        """What was held back in vain."""
        text = bytes(self.held)
        self.held.clear()
        return text


class LoopGuard:
    """Notices that a passage of up to ``LONGEST_LOOP`` bytes has come ``times`` times in a row."""

    def __init__(self, times: int):
        periods = np.arange(1, LONGEST_LOOP + 1)
        # A text of period p repeats its first p bytes: so many later ones equal that p before.
        self._enough = np.maximum(periods * (times - 1), _LEAST_BYTES - periods)
        self._before = np.full(LONGEST_LOOP, -1)  # the last bytes, latest first
        self._equal = np.zeros(LONGEST_LOOP, dtype=np.int64)

    def add(self, byte: int) -> bool:
        """Whether the text goes round in circles with this byte."""
        self._equal = np.where(self._before == byte, self._equal + 1, 0)
        self._before[1:] = self._before[:-1]
        self._before[0] = byte
        return bool((self._equal >= self._enough).any())
