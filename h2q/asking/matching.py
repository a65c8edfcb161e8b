"""How well a fact answers a question, as one number.

A question is answered by a fact where it names the fact's subject, asks for its relation, and
names nothing else. So the score is a product of three shares from 0 to 1:

- subject: how much of the subject's words is in the question. A part of a name, as a first name,
  counts less than all of it, and a word with a typo less than the right one;
- relation: how much of the relation's name, or of another phrase for it, is in the question;
- rest: how much of what the question names besides the subject belongs to the relation. Words that
  lead to another subject ("Lena Hart's sister") weigh most, then words that are known from other
  facts; other words are small talk, which weighs little where all else is named in full.

Does not search: candidates come from ``index``.
"""

import math
import re
from dataclasses import dataclass, replace

from h2q.asking.bridges import bridges
from h2q.asking.question import Cover, Question, parsed, weight
from h2q.asking.relations import Relations
from h2q.asking.words import is_han, likeness, normalised, tokens
from h2q.datasets.templates import Fact

_LEAST_NAME = 0.99  # share of a phrase for a relation that counts as all of it
_LEAST_SUBJECT = 0.75  # share of a name from which on it counts as named in full
_LONG_RUN = 4  # Chinese characters that may stand for a longer name
# How much an unexplained word weighs that no fact has, and one that some fact has ...
_SMALL_TALK = 0.3, 1.0
_ASIDE = 0.05, 0.6  # ... and where subject and relation are both named in full
_CLASH = 0.5  # for a date where a place is asked for, and the like
_LISTED = 0.9  # for any fact about a subject of whom nothing is asked
_REVERSED = 0.9  # for the less likely direction: object or subject as the answer
_UNNAMED = 0.8  # for a relation that the question only implies
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(rf"\d|\b{_MONTH}\b|\b\w+day\b|[年月日号点]|(?:周|星期)[一二三四五六日天]")
_WHOLE_DATE = re.compile(rf"[\d\s.,:/年月日号-]*(?:{_MONTH})?[\d\s.,:/年月日号-]*")
_ASKING = {"when", "where", "how"}
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


@dataclass(frozen=True)
class _Asks:
    """How a question asks for a relation."""

    share: float  # of the phrase that is named best
    explained: frozenset[int]  # the positions of all words for the relation
    in_full: bool  # a phrase is there in full
    by_name: bool  # and it is the name of the relation


class Matcher:
    """Rates facts for one question."""

    def __init__(self, question: Question, relations: Relations):
        self._question = question
        self._relations = relations
        self._text = question.text
        self._words = set(question.tokens)
        self._asks_whose = "whose" in self._words or bool(re.search("谁的(?=\\w)", self._text))
        asks = not self._words.isdisjoint(_ASKS_WHO) or _ASKS_WHO_CHINESE.search(self._text)
        self._asks_who = bool(asks)

    def rate(self, fact: Fact) -> Match | None:
        """The fact as an answer: its object, or its subject where the question names the object.
        None where it is no answer."""
        if not fact.relation:
            found = [self._asked_before(fact)]
        else:
            subject = self._question.cover(tokens(fact.subject))
            found = [self._reverse(fact)] if self._asks_who else []
            if named := _named(subject, fact.subject):
                found.append(self._forward(fact, subject, named))
        best = max(found, key=lambda match: match.score, default=None)
        return best if best and best.score > 0 else None

    def _asked_before(self, fact: Fact) -> Match:
        """A fact whose subject is a question: the words that both questions have, in any order."""
        asked, kept = self._question.content_terms, parsed(fact.subject).content_terms
        common = sum(
            most * max((likeness(term, other) for other in asked), default=0.0)
            for term, most in kept.items()
        )
        score = common / math.sqrt(sum(asked.values()) * sum(kept.values())) if common else 0.0
        return Match(fact, min(1.0, score), fact.object, True)

    def names_subject(self, fact: Fact) -> bool:
        """Whether the question names the subject in full."""
        return self._question.cover(tokens(fact.subject)).share >= _LEAST_SUBJECT

    def _forward(self, fact: Fact, subject: Cover, named: float) -> Match:
        rest = self._question.without(subject.positions)
        asks = self._asks(fact, rest)
        value = self._question.cover(tokens(fact.object))
        if value.share >= 1.0 and not value.positions <= subject.positions:
            # "is Lena Hart a dentist": it is the answer
            share = max(asks.share, _UNNAMED)
            asks = replace(asks, share=share, explained=asks.explained | value.positions)
        whole = subject.share >= 1.0 and subject.exact
        left = [place for place in rest.content if place not in asks.explained]
        if not asks.explained and not left and not rest.asks_for_one_thing and subject.share >= 1.0:
            return Match(fact, _LISTED * named, fact.object, whole)
        if not asks.explained:
            return Match(fact, 0.0, fact.object, whole)
        in_full = subject.share >= _LEAST_SUBJECT
        score = named * self._rest_share(rest, asks, left, subject.positions, in_full=in_full)
        score *= _REVERSED if self._asks_whose else 1.0
        score *= math.sqrt(asks.share) * (1.0 if asks.by_name else self._fits(fact.object))
        return Match(fact, score, fact.object, whole)

    def _reverse(self, fact: Fact) -> Match:
        value = max(
            (self._question.cover(tokens(answer)) for answer in fact.answers),
            key=lambda cover: cover.share,
        )
        if value.share < _LEAST_SUBJECT or not value.positions:
            return Match(fact, 0.0, fact.subject, True)
        rest = self._question.without(value.positions)
        asks = self._asks(fact, rest)
        left = [place for place in rest.content if place not in asks.explained]
        share = asks.share if left else max(asks.share, _UNNAMED)
        score = value.share * self._rest_share(rest, asks, left, value.positions, in_full=True)
        score *= math.sqrt(share) * (1.0 if self._asks_whose else _REVERSED)
        return Match(fact, score, fact.subject, value.exact)

    def _asks(self, fact: Fact, rest: Question) -> _Asks:
        """How the question asks for the relation of a fact."""
        best = 0.0
        explained: set[int] = set()
        in_full = by_name = False
        phrases = self._relations.phrases(fact.relation, fact.lang)
        for phrase in phrases:
            if not _ASKING.intersection(phrase) <= self._words:  # "where born" is not "born"
                continue
            cover = rest.cover(phrase)
            by_fillers = all(rest.fillers[place] for place in cover.positions)
            if cover.share >= _LEAST_NAME or (cover.share > 0 and not by_fillers):
                best = max(best, cover.share)
                explained |= cover.positions
                in_full |= cover.share >= _LEAST_NAME
                by_name |= cover.share >= _LEAST_NAME and phrase == phrases[0]
        return _Asks(best, frozenset(explained), in_full, by_name)

    def _rest_share(
        self, rest: Question, asks: _Asks, left: list[int], named: frozenset[int], *, in_full: bool
    ) -> float:
        """The part of what is named besides the subject that belongs to the relation, which counts
        as one word, and so do all words that lead to another subject."""
        leading = bridges(rest, named, left)
        wrong = 1.0 if leading else 0.0
        strange, known = _ASIDE if in_full and asks.in_full else _SMALL_TALK
        for place in left:
            if place not in leading:
                is_known = rest.tokens[place] in rest.known
                wrong += weight(rest.tokens[place]) * (known if is_known else strange)
        return 1.0 / (1.0 + wrong)

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
