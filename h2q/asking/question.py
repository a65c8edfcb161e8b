"""A question as tokens, and how much of a phrase is in it.

Words may have typos and stand in any order; Chinese characters have to stand together. Does not
know facts.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from h2q.asking.fillers import asks_for_one_thing, fillers, is_filler
from h2q.asking.words import TYPO, is_han, likeness, runs, separated

MOST_TOKENS = 200  # of a question; a longer one is a text, of which the beginning is used
_FILLER_WEIGHT = 0.2  # of a word that names nothing, within a phrase
_HAN_WEIGHT = 0.5  # of a Chinese character, compared with a word
_HALF_PAIR = 0.3  # of two Chinese characters of which one names nothing
_GAP = ""


def weight(token: str) -> float:
    """How much of a phrase a token is: a word is as much as two Chinese characters."""
    return _HAN_WEIGHT if is_han(token) else 1.0


@dataclass(frozen=True)
class Cover:
    """How much of a phrase is in a question."""

    share: float = 0.0  # of the phrase, from 0 to 1; a word with a typo counts less
    positions: frozenset[int] = frozenset()  # of the tokens of the question that belong to it
    exact: bool = True  # no typo in what was found
    tail: bool = False  # the end of a Chinese name, without the family name


@dataclass(frozen=True)
class Question:
    """The tokens of a question. Those that are explained already are empty: gaps."""

    tokens: tuple[str, ...]
    before: tuple[str, ...]  # what stands before each: nothing, spaces or marks
    known: frozenset[str]  # the words of facts among them: those are no typos
    _without: dict[frozenset[int], "Question"] = field(
        default_factory=dict, compare=False, repr=False
    )  # made before

    @cached_property
    def text(self) -> str:
        """One character for each token: the Chinese ones as they are, NUL for the others."""
        return "".join(token if is_han(token) else "\0" for token in self.tokens)

    @cached_property
    def forms(self) -> dict[str, tuple[int, ...]]:
        """Each word, and each two neighbours joined, with all their positions."""
        found: dict[str, tuple[int, ...]] = {}
        for place, token in enumerate(self.tokens):
            if token and not is_han(token):
                found[token] = (*found.get(token, ()), place)
                following = self.tokens[place + 1] if place + 1 < len(self.tokens) else _GAP
                if following and not is_han(following):
                    found.setdefault(token + following, (place, place + 1))
        return found

    @cached_property
    def fillers(self) -> list[bool]:
        """For each token whether it names nothing."""
        return fillers(self.tokens)

    @cached_property
    def content(self) -> list[int]:
        """The positions of the tokens that name something."""
        marked = enumerate(zip(self.tokens, self.fillers))
        return [place for place, (token, filler) in marked if token and not filler]

    @cached_property
    def content_terms(self) -> dict[str, float]:
        """The words and pairs of Chinese characters that name something, with weights: a pair of
        which one character is a filler counts little. All of them where none names anything."""
        kept = set(self.content) or set(range(len(self.tokens)))
        found: dict[str, float] = {}
        for place, token in enumerate(self.tokens):
            following = self.tokens[place + 1] if place + 1 < len(self.tokens) else _GAP
            if token and not is_han(token):
                if place in kept:
                    found[token] = 1.0
            elif token and following and is_han(following):
                names = (place in kept) + (place + 1 in kept)
                if names:
                    found[token + following] = 1.0 if names == 2 else _HALF_PAIR
            elif len(self.tokens) == 1:
                found[token] = 1.0
        return found

    @property
    def asks_for_one_thing(self) -> bool:
        return asks_for_one_thing(self.tokens)

    def is_marked(self, place: int) -> bool:
        """Whether a mark, such as a comma, separates a token from the one before it."""
        return bool(self.before[place].strip())

    def without(self, positions: frozenset[int]) -> "Question":
        """The question with gaps at these positions."""
        if positions not in self._without:
            left = (_GAP if i in positions else token for i, token in enumerate(self.tokens))
            self._without[positions] = replace(self, tokens=tuple(left), _without={})
        return self._without[positions]

    def cover(self, phrase: Sequence[str]) -> Cover:
        """How much of the tokens in ``phrase`` is in the question."""
        if not phrase:
            return Cover()
        if (start := self._start_of(phrase)) is not None:
            return Cover(1.0, frozenset(range(start, start + len(phrase))))
        whole = found = 0.0
        positions: set[int] = set()
        exact, tail = True, False
        plain = all(is_filler(token) for token in phrase)  # then every word counts
        pieces = list(runs(phrase))
        for number, piece in enumerate(pieces):
            if is_han(piece[0]):
                start, length = self._longest_run(piece)
                whole += _HAN_WEIGHT * len(piece)
                found += _HAN_WEIGHT * length
                positions |= set(range(start, start + length))
                tail |= 1 < length < len(piece) and self._is_tail(piece, start, length)
                continue
            own = _FILLER_WEIGHT if is_filler(piece) and not plain else 1.0
            whole += own
            likely, places = self._word(piece)
            if not places:
                likely, places = self._joined(pieces, number)
            found += own * likely
            positions |= set(places)
            exact &= likely != TYPO
        return Cover(found / whole, frozenset(positions), exact, tail)

    def _start_of(self, phrase: Sequence[str]) -> int | None:
        """Where the phrase stands word for word."""
        wanted = tuple(phrase)
        for start, token in enumerate(self.tokens):
            if token == wanted[0] and self.tokens[start : start + len(wanted)] == wanted:
                return start
        return None

    def _is_tail(self, name: str, start: int, length: int) -> bool:
        """Whether the end of a name stands there without another family name before it."""
        is_alone = (
            not start
            or self.before[start]
            or self.fillers[start - 1]
            or self.text[start - 1] == "\0"
        )
        return bool(is_alone) and name.endswith(self.text[start : start + length])

    def _word(self, word: str) -> tuple[float, tuple[int, ...]]:
        """The word of the question that is most like ``word``: how much, and where."""
        if word in self.forms:
            return 1.0, self.forms[word]
        best = 0.0
        places: tuple[int, ...] = ()
        for form, where in self.forms.items():
            if form not in self.known and (likely := likeness(word, form)) > best:
                best, places = likely, where
        return best, places

    def _joined(self, pieces: list[str], number: int) -> tuple[float, tuple[int, ...]]:
        """Where a word and its neighbour in the phrase stand in the question as one word."""
        for first in (number - 1, number):
            if 0 <= first < len(pieces) - 1:
                joined = pieces[first] + pieces[first + 1]
                if joined in self.forms:
                    return 1.0, self.forms[joined]
        return 0.0, ()

    def _longest_run(self, run: str) -> tuple[int, int]:
        """Start and length of the longest part of ``run`` that stands in the question."""
        for length in range(len(run), 1 if len(run) > 1 else 0, -1):
            for first in range(len(run) - length, -1, -1):
                start = self.text.find(run[first : first + length])
                if start >= 0:
                    return start, length
        return 0, 0


def parsed(text: str, is_known: Callable[[str], bool] = lambda word: False) -> Question:
    """The question in ``text``; ``is_known`` tells the words that facts have."""
    found = list(separated(text[: 40 * MOST_TOKENS]))[:MOST_TOKENS]
    kept = tuple(token for token, _ in found)
    return Question(kept, tuple(before for _, before in found), frozenset(filter(is_known, kept)))


def content_words(found: Iterable[str]) -> tuple[str, ...]:
    """The tokens that name something."""
    kept = list(found)
    return tuple(token for token, filler in zip(kept, fillers(kept)) if token and not filler)
