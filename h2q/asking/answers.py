"""From a question to answers with their places: facts first, then notes.

What a trained model says is for ``asker``. Does not print anything.
"""

from dataclasses import dataclass

from h2q.asking.index import Index, PlacedFact
from h2q.asking.matching import Match, Matcher
from h2q.asking.notes import lines_about
from h2q.asking.question import Question
from h2q.asking.relations import Relations
from h2q.asking.words import is_han, likeness, normalised, terms, tokens
from h2q.datasets.templates import Wordings

# The score from which on a fact is an answer, chosen on the development seeds of
# ``benchmarks/ask.py``.
LEAST_SCORE = 0.6
MOST_SHOWN = 5  # answers to one question
_EQUAL = 1e-6
_LINE_CHARACTERS = 500  # of a line that is shown


@dataclass(frozen=True)
class Found:
    """One answer and its place."""

    answer: str
    file: str
    line: int
    about: str = ""  # subject and relation, where they are not plain from the question
    asked: tuple[str, ...] = ()  # what the answer is an answer to: subject and relation


@dataclass(frozen=True)
class Reply:
    """What is known about a question."""

    question: str
    source: str | None  # fact, model or notes; None: it is not in the notes
    found: tuple[Found, ...] = ()
    guess: str | None = None  # of the model, without a source

    @property
    def contradicts(self) -> bool:
        """Whether two facts give different objects for one subject and relation."""
        subjects = [found.asked for found in self.found]
        return self.source == "fact" and len(set(subjects)) < len(subjects)


class Lookup:
    """Answers questions from an index."""

    def __init__(self, index: Index, wordings: Wordings):
        self.index = index
        self._relations = Relations(wordings)

    def notes(self, question: Question) -> tuple[Found, ...]:
        """Lines of notes that speak of what the question names, the best first."""
        lines = lines_about(question, self.index)
        return tuple(Found(_shortened(line.text), line.file, line.line) for line in lines)

    def facts(self, question: Question) -> tuple[Found, ...]:
        """The facts that answer best, each with its place. Facts that contradict each other are
        all among them."""
        matcher = Matcher(question, self._relations)
        rated = [
            (match, placed)
            for placed in self.candidates(question)
            if (match := matcher.rate(placed.fact))
        ]
        best = max((match.score for match, _ in rated), default=0.0)
        if best < LEAST_SCORE:
            return ()
        chosen = [item for item in rated if item[0].score >= best - _EQUAL]
        return _without_repetition(chosen)[:MOST_SHOWN]

    def supporting(self, question: Question, answer: str) -> tuple[Found, ...]:
        """The facts about a subject that the question names whose object is ``answer``."""
        matcher = Matcher(question, self._relations)
        wanted = normalised(answer).strip()
        return tuple(
            Found(placed.fact.object, placed.file, placed.line)
            for placed in self.candidates(question)
            if wanted in map(normalised, placed.fact.answers) and matcher.names_subject(placed.fact)
        )[:MOST_SHOWN]

    def candidates(self, question: Question) -> list[PlacedFact]:
        """Facts whose subject, or whose object, has a word of the question."""
        search = list(dict.fromkeys(self._search_terms(question)))
        found = [*self.index.facts(search, "subject"), *self.index.facts(search, "object")]
        return list(dict.fromkeys(found))

    def _search_terms(self, question: Question) -> list[str]:
        """The terms of the question, and the words of which they may be misspellings."""
        found = terms(question.tokens)
        content = {question.tokens[place] for place in question.content}
        for word in sorted(content):
            if is_han(word):
                found.append(word)  # a subject may be a single character
            else:
                found += [like for like in self.index.spellings(word) if likeness(word, like)]
        return found


def _shortened(line: str) -> str:
    line = line.strip()
    return line if len(line) <= _LINE_CHARACTERS else line[:_LINE_CHARACTERS] + "…"


def _without_repetition(chosen: list[tuple[Match, PlacedFact]]) -> tuple[Found, ...]:
    """The answers, each once; subject and relation are shown where the answers are about several,
    or where the question does not name the subject in full."""
    about = {_asked(match) for match, _ in chosen}
    found: dict[tuple[str, ...], Found] = {}
    for match, placed in chosen:
        fact = placed.fact
        shown = ""
        if len(about) > 1 or not match.named or match.answer != fact.object:
            shown = " · ".join(filter(None, (fact.subject, fact.relation.replace("_", " "))))
        asked = _asked(match)
        one = Found(match.answer, placed.file, placed.line, shown, asked)
        found.setdefault((*asked, normalised(match.answer)), one)
    return tuple(found.values())


def _asked(match: Match) -> tuple[str, ...]:
    """What a fact answers: its subject and relation, or its object and relation."""
    fact = match.fact
    if match.answer == fact.object:
        return " ".join(tokens(fact.subject)), " ".join(tokens(fact.relation))
    return (fact.id,)
