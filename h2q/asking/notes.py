"""Lines of notes that speak of what a question names.

A line is rated by the words of the question that it has, rare words weighing most. Words of the
heading above it and of the line before it count too, but less. Does not take an answer out of a
line.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from h2q.asking.index import Index, PlacedLine
from h2q.asking.question import Question
from h2q.asking.words import is_han, likeness, terms, tokens

_LEAST = 0.7  # share of what the question names
_CONTEXT = 0.8  # how much a word in the heading or the line before counts
_APART = 0.6  # how much a pair of Chinese characters counts that stand apart in the line
_CLOSE = 0.95  # a line that is nearly as good as the best one is shown too
MOST_SHOWN = 3


_MOST_LINES = 20_000  # that a search looks at


@dataclass(frozen=True)
class _Term:
    """A word or a pair of Chinese characters that a question names."""

    spellings: tuple[str, ...]  # the term, or the words that it may stand for
    lines: int  # how many have it
    weight: float


def lines_about(question: Question, index: Index) -> list[PlacedLine]:
    """The lines that speak of what ``question`` names, the best first."""
    wanted = _wanted(question, index)
    whole = sum(term.weight for term in wanted)
    if not whole:
        return []
    search = _search_terms(wanted)
    rated = [(_share(line, wanted) / whole, line) for line in index.lines(search)]
    best = max((share for share, _ in rated), default=0.0)
    if best < _LEAST:
        return []
    rated.sort(key=lambda item: -item[0])
    return [line for share, line in rated if share >= _CLOSE * best][:MOST_SHOWN]


def _wanted(question: Question, index: Index) -> list[_Term]:
    """What the question names, with weights: a term in few lines weighs more than one in many."""
    found: dict[tuple[str, ...], _Term] = {}
    for term, weight in question.content_terms.items():
        spellings = _spellings(term, index)
        count, whole = max(index.rarity(spelling) for spelling in spellings)
        found[spellings] = _Term(spellings, count, weight * math.log(1 + (whole + 1) / (count + 1)))
    return list(found.values())


def _search_terms(wanted: list[_Term]) -> list[str]:
    """The rarest terms, as long as not too many lines have them. A line that has none of these
    would not have enough of what is wanted."""
    found: list[str] = []
    lines = 0
    for term in sorted(wanted, key=lambda term: term.lines):
        lines += term.lines
        if found and lines > _MOST_LINES:
            break
        found += term.spellings
    return found


def _spellings(term: str, index: Index) -> tuple[str, ...]:
    """The term itself where it is known, else the words of which it may be a misspelling."""
    if index.rarity(term)[0]:
        return (term,)
    like = [
        word for word in index.spellings(term) if likeness(term, word) and index.rarity(word)[0]
    ]
    return tuple(like) or (term,)


def _share(line: PlacedLine, wanted: Iterable[_Term]) -> float:
    """The weights of what the line itself has, and its context; 0 where it has nothing itself."""
    own = set(terms(tokens(line.text)))
    context = set(terms(tokens(line.before))) | set(terms(tokens(line.heading)))
    found = around = 0.0
    for term in wanted:
        if not own.isdisjoint(term.spellings):
            found += term.weight
        elif is_han(term.spellings[0][0]) and all(one in line.text for one in term.spellings[0]):
            found += _APART * term.weight
        elif not context.isdisjoint(term.spellings):
            around += _CONTEXT * term.weight
    return found + around if found else 0.0
