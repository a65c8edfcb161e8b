"""Text to byte ids and back. A token is a byte of UTF-8, so the vocabulary has 256 tokens.

Also knows which bytes may follow an unfinished character: generation uses this to write valid
UTF-8 only. Does not know tensors.
"""

import codecs

VOCAB_SIZE = 256
PAD = 0  # fills the last window of an epoch; never a target (README: 使用token 0进行填充)
LINE_END = 0x0A
END_OF_DOCUMENT = 0xFF  # a byte that no UTF-8 text holds
# Well-formed UTF-8 (Unicode 17.0, table 3-7) as an automaton. A state says which bytes the
# character still needs; state 0 is between two characters. NUL is left out: it is the padding.
START = 0
_CONTINUATION = (0x80, 0xBF)
_RANGES = [
    [
        (0x01, 0x7F, 0),
        (0xC2, 0xDF, 1),
        (0xE0, 0xE0, 3),
        (0xE1, 0xEC, 2),
        (0xED, 0xED, 4),
        (0xEE, 0xEF, 2),
        (0xF0, 0xF0, 6),
        (0xF1, 0xF3, 5),
        (0xF4, 0xF4, 7),
    ],
    [(*_CONTINUATION, 0)],  # 1: one more byte
    [(*_CONTINUATION, 1)],  # 2: two more
    [(0xA0, 0xBF, 1)],  # 3: after E0, no overlong forms
    [(0x80, 0x9F, 1)],  # 4: after ED, no surrogates
    [(*_CONTINUATION, 2)],  # 5: three more
    [(0x90, 0xBF, 2)],  # 6: after F0, no overlong forms
    [(0x80, 0x8F, 2)],  # 7: after F4, nothing above U+10FFFF
]
TRANSITIONS = [
    {byte: target for first, last, target in ranges for byte in range(first, last + 1)}
    for ranges in _RANGES
]
PENDING = (0, 1, 2, 2, 2, 3, 3, 3)  # bytes that each state still needs


def encode(text: str) -> bytes:
    """The UTF-8 bytes of ``text``; a lone surrogate, which has none, becomes U+FFFD."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Pairs of surrogates become their character, single ones the replacement character.
        utf16 = text.encode("utf-16-le", "surrogatepass")
        return utf16.decode("utf-16-le", "replace").encode("utf-8")


def decode(data: bytes) -> str:
    """The text of ``data``; bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8", "replace")


def allowed_bytes(state: int, budget: int) -> list[int]:
    """Bytes that may follow in ``state`` when ``budget`` bytes may still be written.

    No byte begins a character that would not fit, so a text of maximum length ends with a whole
    character.
    """
    return [byte for byte, target in TRANSITIONS[state].items() if PENDING[target] < budget]


class IncrementalDecoder:
    """Turns bytes, as they come, into whole characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """The characters that ``data`` completes."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """U+FFFD for a character that was never completed, else an empty string."""
        return self._decoder.decode(b"", final=True)
