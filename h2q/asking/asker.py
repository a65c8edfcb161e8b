"""Who is asked: the facts, then a trained model, then the notes.

The model is loaded when no fact answers, and only then. What it says counts as known where a fact
supports it; otherwise it is a guess. Does not print anything.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from h2q.asking.answers import Lookup, Reply
from h2q.asking.index import Index
from h2q.asking.question import parsed
from h2q.asking.sources import find_sources
from h2q.datasets.knowledge_base import wordings_of
from h2q.system.errors import KnowledgeError
from h2q.system.paths import shipped_knowledge_dir

# A model: from a question to its answer, or None where it has none.
Answering = Callable[[str], str | None]


class Asker:
    """Answers questions from the files below two directories, and from a model."""

    def __init__(
        self,
        knowledge_dir: Path | None,
        data_dir: Path | None,
        index_path: Path | None,
        load_model: Callable[[], Answering | None],
    ):
        """Reads what is new in the files. ``load_model`` gives None where there is no model.

        Raises ``KnowledgeError`` where the files hold nothing, and for wordings that cannot be
        used.
        """
        self._directories = knowledge_dir, data_dir
        self._load_model = load_model
        self._lookup = Lookup(
            Index(index_path), wordings_of(knowledge_dir or shipped_knowledge_dir())
        )
        self.refresh()
        if self._lookup.index.is_empty():
            self.close()
            raise KnowledgeError("ask.nothing", path=knowledge_dir or data_dir)

    def refresh(self) -> None:
        """Takes in what changed in the files."""
        self._lookup.index.refresh(find_sources(*self._directories))

    def close(self) -> None:
        self._lookup.index.close()

    @cached_property
    def _model(self) -> Answering | None:
        return self._load_model()

    def reply(self, text: str) -> Reply:
        """What is known about a question, with places."""
        question = parsed(text, self._lookup.index.is_word_of_facts)
        if not question.tokens:
            return Reply(text, None)
        if facts := self._lookup.facts(question):
            return Reply(text, "fact", facts)
        guess = self._model(text) if self._model is not None else None
        if guess is not None and (supported := self._lookup.supporting(question, guess)):
            return Reply(text, "model", supported)
        notes = self._lookup.notes(question)
        return Reply(text, "notes" if notes else None, notes, guess)
