"""The phrases with which a person asks for a relation: its name, other words, own questions.

Does not know questions or facts of a person.
"""

from functools import lru_cache

from h2q.asking.question import content_words
from h2q.asking.synonyms import others
from h2q.asking.words import tokens
from h2q.datasets.templates import Wordings

Phrase = tuple[str, ...]  # tokens


class Relations:
    """The phrases of every relation of a knowledge base, made when they are first needed."""

    def __init__(self, wordings: Wordings):
        self._wordings = wordings
        self.phrases = lru_cache(maxsize=4096)(self._phrases)

    def _phrases(self, relation: str, lang: str) -> tuple[Phrase, ...]:
        """All phrases that ask for ``relation`` in ``lang``, its name first."""
        name = tuple(tokens(relation))
        found = {name: None, **dict.fromkeys(others(name))}
        for template in self._wordings.get(relation, {}).get(lang, {}).get("questions", []):
            # Without subject: what is left of the question names the relation.
            plain = template.replace("{subject}", " ").replace("{relation}", " ")
            found[content_words(tokens(plain))] = None
        found.pop((), None)
        return tuple(found)
