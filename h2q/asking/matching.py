"""How well a fact answers a question, as one number.

A question is answered by a fact where it names the fact's subject, asks for its relation, and
names nothing else. So the score is a product of three shares from 0 to 1:

- subject: how much of the subject's words is in the question. A part of a name, as a first name,
  counts less than all of it, and a word with a typo less than the right one;
- relation: how much of the relation's name, or of another phrase for it, is in the question;
- rest: how much of what the question names besides the subject belongs to the relation. What
  follows the subject directly weighs most ("Lena Hart's sister"), as do words that are known from
  other facts; other words are small talk.

Does not search: candidates come from ``index``.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from h2q.asking.question import Cover, Question, parsed, weight
from h2q.asking.relations import Relations
from h2q.asking.words import is_han, likeness, normalised, tokens
from h2q.datasets.templates import Fact

_LEAST_SUBJECT = 0.75  # share of a name from which on it counts as named in full
_LONG_RUN = 4  # Chinese characters that may stand for a longer name
_LONGER_NAME = 2.0  # how much a Chinese character weighs that follows a name directly
_SMALL_TALK = 0.4  # how much an unexplained word weighs that no fact knows
_CLASH = 0.5  # for a date where a place is asked for, and the like
_REVERSED = 0.9  # for an answer that is the subject of a fact
_UNNAMED = 0.8  # for a relation that the question only implies
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(rf"\d|\b{_MONTH}\b|\b\w+day\b|[年月日号点]|(?:周|星期)[一二三四五六日天]")
_WHOLE_DATE = re.compile(rf"[\d\s.,:/年月日号-]*(?:{_MONTH})?[\d\s.,:/年月日号-]*")
_ASKS_WHO = {"who", "whos", "whose", "which", "whom", "what", "whats"}
_ASKS_WHO_CHINESE = re.compile("谁|哪个|哪位|哪一|什么")
_ASKS_WHEN = re.compile("什么时候|何时|哪天|哪一天|几号|哪年|哪一年|几月")
_ASKS_WHERE = re.compile("哪里|哪儿|何处|什么地方")


@dataclass(frozen=True)
class Match:
    """A fact that may answer a question."""

    fact: Fact
    score: float
    answer: str
    named: bool  # the question names the subject in full and without a typo


class Matcher:
    """Rates facts for one question."""

    def __init__(self, question: Question, relations: Relations, is_known: Callable[[str], bool]):
        self._question = question
        self._relations = relations
        self._is_known = is_known  # whether a word is one of those of the facts
        self._text = question.text
        self._words = set(question.tokens)
        self._penalties: dict[int, float] = {}

    def rate(self, fact: Fact) -> Match | None:
        """The fact as an answer: its object, or its subject where the question names the object.
        None where it is no answer."""
        subject = self._question.cover(tokens(fact.subject))
        if not fact.relation:
            match = self._asked_before(fact)
        elif named := _named(subject, fact.subject):
            match = self._forward(fact, subject, named)
        elif self._asks_for_a_subject():
            match = self._reverse(fact)
        else:
            return None
        return match if match.score > 0 else None

    def _asked_before(self, fact: Fact) -> Match:
        """A fact whose subject is a question: the words that both questions have, in any order."""
        asked, kept = self._question.content_terms, parsed(fact.subject).content_terms
        likest = [max((likeness(term, other) for other in asked), default=0.0) for term in kept]
        common = sum(likest)
        score = common / math.sqrt(len(asked) * len(kept)) if common else 0.0
        return Match(fact, min(1.0, score), fact.object, True)

    def names_subject(self, fact: Fact) -> bool:
        """Whether the question names the subject in full."""
        return self._question.cover(tokens(fact.subject)).share >= _LEAST_SUBJECT

    def _forward(self, fact: Fact, subject: Cover, named: float) -> Match:
        rest = self._question.without(subject.positions)
        share, explained = self._relation(fact, rest)
        value = self._question.cover(tokens(fact.object))
        if value.share >= 1.0 and not value.positions <= subject.positions:
            share = max(share, _UNNAMED)  # "is Lena Hart a dentist": it is the answer
            explained |= value.positions
        whole = subject.share >= 1.0 and subject.exact
        left = [place for place in rest.content if place not in explained]
        if not explained and not left and not rest.asks_for_one_thing and subject.share >= 1.0:
            return Match(fact, named, fact.object, whole)
        if not explained:
            return Match(fact, 0.0, fact.object, whole)
        rest_share = self._rest_share(rest, explained, left, subject.positions)
        score = named * math.sqrt(share) * rest_share * self._fits(fact.object)
        return Match(fact, score, fact.object, whole)

    def _reverse(self, fact: Fact) -> Match:
        value = max(
            (self._question.cover(tokens(answer)) for answer in fact.answers),
            key=lambda cover: cover.share,
        )
        if value.share < _LEAST_SUBJECT or not value.positions:
            return Match(fact, 0.0, fact.subject, True)
        rest = self._question.without(value.positions)
        share, explained = self._relation(fact, rest)
        left = [place for place in rest.content if place not in explained]
        share = max(share, _UNNAMED) if not left else share
        found = self._rest_share(rest, explained, left, value.positions) if left else 1.0
        score = _REVERSED * value.share * math.sqrt(share) * found
        return Match(fact, score, fact.subject, value.exact)

    def _relation(self, fact: Fact, rest: Question) -> tuple[float, set[int]]:
        """The share of the phrase that is named best, and all tokens that name the relation."""
        best = 0.0
        explained: set[int] = set()
        for phrase in self._relations.phrases(fact.relation, fact.lang):
            cover = rest.cover(phrase)
            if cover.share > 0:
                best = max(best, cover.share)
                explained |= cover.positions
        return best, explained

    def _rest_share(
        self, rest: Question, explained: set[int], left: list[int], named: frozenset[int]
    ) -> float:
        """The part of what is named besides the subject that belongs to the relation."""
        content = explained & set(rest.content) or explained
        right = sum(weight(rest.tokens[place]) for place in content)
        following = self._following(rest, named)
        wrong = 0.0
        for place in left:
            penalty = self._penalty(place)
            if place == following:
                penalty = _LONGER_NAME if is_han(rest.tokens[place]) else 1.0
            wrong += weight(rest.tokens[place]) * penalty
        return right / (right + wrong) if right else 0.0

    def _penalty(self, place: int) -> float:
        if place not in self._penalties:
            known = self._is_known(self._question.tokens[place])
            self._penalties[place] = 1.0 if known else _SMALL_TALK
        return self._penalties[place]

    def _following(self, rest: Question, named: frozenset[int]) -> int | None:
        """The position of what follows the subject directly, but for words like "of the"."""
        for place in range(max(named) + 1, len(rest.tokens)):
            if not rest.fillers[place]:
                return place
        return None

    def _asks_for_a_subject(self) -> bool:
        return not self._words.isdisjoint(_ASKS_WHO) or bool(_ASKS_WHO_CHINESE.search(self._text))

    def _fits(self, value: str) -> float:
        """Less than 1 where a question for a date, a place or a person is answered otherwise."""
        plain = normalised(value)
        if "when" in self._words or _ASKS_WHEN.search(self._text):
            return 1.0 if _DATE.search(plain) else _CLASH
        asks_where = "where" in self._words or bool(_ASKS_WHERE.search(self._text))
        is_number = not any(map(str.isalpha, plain))
        if asks_where and (is_number or _WHOLE_DATE.fullmatch(plain)):
            return _CLASH
        return _CLASH if is_number and not self._words.isdisjoint({"who", "whos"}) else 1.0


def _named(subject: Cover, name: str) -> float:
    """How well the question names a subject; 0 where it names another one or none."""
    if subject.share >= _LEAST_SUBJECT:
        return math.sqrt(subject.share)
    if not subject.exact or not subject.positions:
        return 0.0
    if all(is_han(token) for token in tokens(name)):
        length = len(subject.positions)
        if not (subject.tail or (length >= _LONG_RUN and subject.share >= 0.6)):
            return 0.0
    return (0.4 + 0.6 * subject.share) if subject.share >= 0.25 else 0.0
