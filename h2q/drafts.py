"""Guesses of the next bytes, made from what stands earlier in the same text."""

_LONGEST, _SHORTEST = 8, 3  # bytes that must agree before a guess


class ContextDrafter:
    """Remembers what followed each passage of a few bytes; guesses that it follows again.

    Prompt lookup (arXiv 2304.04487) with an index: a guess takes the longest passage that the
    text ends with and that stood before, and goes on as that did.
    """

    def __init__(self):
        self._next: dict[bytes, int] = {}
        self._read = 0

    def learn(self, text: bytearray) -> None:
        """Takes note of the last byte of ``text``."""
        for length in range(_SHORTEST, min(_LONGEST, len(text) - 1) + 1):
            self._next[bytes(text[-length - 1 : -1])] = text[-1]

    def draft(self, text: bytearray, limit: int) -> bytes:
        """At most ``limit`` bytes that may come next; nothing where there is nothing to go by."""
        guess = bytearray()
        tail = bytearray(text[-_LONGEST:])
        while len(guess) < limit:
            byte = self._following(tail)
            if byte is None:
                break
            guess.append(byte)
            tail = tail[-_LONGEST + 1 :] + bytes([byte])
        return bytes(guess)

    def _following(self, tail: bytearray) -> int | None:
        for length in range(min(_LONGEST, len(tail)), _SHORTEST - 1, -1):
            byte = self._next.get(bytes(tail[-length:]))
            if byte is not None:
                return byte
        return None
