"""Examines models on held-out prose and facts: losses, right answers, and how well they write.

Does not know which model is the champion and which the challenger, nor what follows from the
numbers. ``splits`` explains what dev, gate and vault are.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import HELD_OUT, Fact, Wordings, fill, questions, statements
from h2q.evaluation.exact_match import Question, Scores, answer, continue_prompts, score
from h2q.evaluation.held_out import Evaluation, evaluate
from h2q.evaluation.text_quality import Quality, quality
from h2q.evolution import gate
from h2q.evolution.records import Example
from h2q.evolution.splits import Splits
from h2q.model.tokenizer import decode
from h2q.model.transformer import Transformer

EXAMPLES = 3  # questions that are shown with their answers before and after
_QUALITY_FACTS = 8  # facts, or windows of prose, whose answers or continuations are judged
_WRITTEN_BYTES = 48


@dataclass(frozen=True)
class Examiner:
    """Asks every model the same questions about a text and a knowledge base."""

    splits: Splits
    knowledge: KnowledgeBase | None
    dtype: torch.dtype  # of the computation

    @property
    def _wordings(self) -> Wordings:
        return self.knowledge.wordings if self.knowledge else {}

    def prose(self, model: Transformer, split: str) -> Evaluation:
        """Losses on the windows of ``split``, of the model with its memory: as a person uses it."""
        stream, memory = self.splits.prose[split], model.memory
        limit = len(stream) + 1
        return evaluate(model, stream, limit_bytes=limit, memory=memory, dtype=self.dtype)

    def facts_named(self, ids: Iterable[str]) -> list[Fact]:
        """The facts with these ids that are in the knowledge base, if there is one."""
        return self.knowledge.facts_by_id(ids) if self.knowledge else []

    def facts(self, model: Transformer, facts: list[Fact], split: str) -> Scores:
        """Costs and exact match of the answers to one question of ``split`` about each fact."""
        return score(model, ask(facts, self._wordings, split), self.dtype)

    def chance(self, fact: Fact) -> float:
        """How often the most frequent object of the fact's relation is right."""
        return gate.chance_of(
            self.knowledge.objects(fact.relation, fact.lang) if self.knowledge else []
        )

    def answers(self, model: Transformer, facts: list[Fact]) -> list[Example]:
        """Questions in wordings of the vault, with the greedy answers and the right ones."""
        asked = ask(facts, self._wordings, "vault")
        answers = answer(model, [question.prompt for question in asked])
        return [
            Example(question=question.prompt, answer=decode(text), right=question.answers[0])
            for question, text in zip(asked, answers)
        ]

    def quality(self, model: Transformer, facts: list[Fact]) -> Quality:
        """How good the answers about a few of ``facts`` are, in all held-out wordings. Without
        facts: how good the continuations of held-out prose are."""
        return self._quality_of_answers(model, facts) if facts else self._quality_of_prose(model)

    def _quality_of_answers(self, model: Transformer, facts: list[Fact]) -> Quality:
        chosen = facts[:_QUALITY_FACTS]
        by_split = [
            answer(model, [question.prompt for question in ask(chosen, self._wordings, split)])
            for split in HELD_OUT
        ]
        known = [fill(statements(self._wordings, fact)[0], fact) for fact in chosen]
        by_fact = [list(answers) for answers in zip(*by_split)]
        return quality(by_fact, known, [fact.object for fact in chosen])

    def _quality_of_prose(self, model: Transformer) -> Quality:
        stream = self.splits.prose["vault"]
        context_length = model.config.context_length
        length = min(2 * _WRITTEN_BYTES, context_length // 2, len(stream) // 2)
        starts = [start for start, _ in stream.windows(context_length, 2**40)]
        texts = [stream.read(start, 2 * length) for start in starts[:_QUALITY_FACTS]]
        prompts = [text[:length] for text in texts]
        written = continue_prompts(model, prompts, min(_WRITTEN_BYTES, length), stop=None)
        return quality(
            [[text] for text in written],
            [decode(text) for text in texts],
            [decode(text[length:]) for text in texts],
        )


def ask(facts: Iterable[Fact], wordings: Wordings, split: str) -> list[Question]:
    """A question for the object of each fact, in one of the wordings of ``split``. The wording
    depends on the fact alone, so that all models are asked the same questions."""
    return [
        Question(_question(fact, wordings, split), fact.answers, f"{fact.lang}\n{fact.subject}")
        for fact in facts
    ]


def _question(fact: Fact, wordings: Wordings, split: str) -> str:
    templates = questions(wordings, fact, split)
    digest = hashlib.sha256(fact.id.encode("utf-8", "surrogatepass")).digest()
    return fill(templates[digest[0] % len(templates)], fact)


def bits_per_byte_each(scores: Scores) -> NDArray[np.float64]:
    """The cost of each item of ``scores``, in bits per byte of its right answer."""
    each: NDArray[np.float64] = scores.bits / np.maximum(1, scores.sizes)
    return each
