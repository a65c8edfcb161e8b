"""What ends a text besides the model and the maximum length: a stop string, or a loop.

Both are found byte by byte, in constant memory. Knows neither models nor settings.
"""

from collections.abc import Sequence

import numpy as np

LONGEST_LOOP = 256  # bytes of the longest passage whose repetition is noticed
_LEAST_BYTES = 32  # of all repetitions together: 哈哈哈 is no loop


class StopStrings:
    """Finds stop strings. Holds back bytes as long as they may be the beginning of one."""

    def __init__(self, stop: Sequence[bytes]):
        self._stop = stop
        self._held = bytearray()

    def add(self, byte: int) -> tuple[bytes, bool]:
        """What is certain to be text after this byte, and whether a stop string is now complete.

        No byte of a complete stop string is returned as text.
        """
        self._held.append(byte)
        for stop in self._stop:
            if self._held.endswith(stop):
                return bytes(self._held[: -len(stop)]), True
        longest = max((self._overlap(stop) for stop in self._stop), default=0)
        certain = len(self._held) - longest
        text = bytes(self._held[:certain])
        del self._held[:certain]
        return text, False

    def _overlap(self, stop: bytes) -> int:
        """How many bytes at the end of what is held are the beginning of ``stop``."""
        most = min(len(stop) - 1, len(self._held))
        return next((n for n in range(most, 0, -1) if self._held.endswith(stop[:n])), 0)

    def finish(self) -> bytes:
        """What is still held back, at the end of the text."""
        text = bytes(self._held)
        self._held.clear()
        return text


class LoopGuard:
    """Notices that a passage of up to ``LONGEST_LOOP`` bytes occurred ``times`` times in a row."""

    def __init__(self, times: int):
        periods = np.arange(1, LONGEST_LOOP + 1)
        # In a text of period p every byte after the first p equals the byte p places before it.
        # For each p: how many such bytes in a row make a loop.
        self._enough = np.maximum(periods * (times - 1), _LEAST_BYTES - periods)
        self._before = np.full(LONGEST_LOOP, -1)  # the last bytes, the latest first
        self._equal = np.zeros(LONGEST_LOOP, dtype=np.int64)  # such bytes in a row, for each p

    def add(self, byte: int) -> bool:
        """Whether the text ends with a loop after this byte."""
        self._equal = np.where(self._before == byte, self._equal + 1, 0)
        self._before[1:] = self._before[:-1]
        self._before[0] = byte
        return bool((self._equal >= self._enough).any())
