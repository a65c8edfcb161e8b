"""Examines models on the sealed splits: prose, facts, what they answer, and how well they write.

Does not know which model is champion and which challenger, nor what follows from the figures.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import HELD_OUT, Fact, fill, questions, statements
from h2q.evaluation.exact_match import Question, Scores, answer, continue_prompts, score
from h2q.evaluation.held_out import Evaluation, evaluate
from h2q.evaluation.text_quality import Quality, quality
from h2q.evolution import gate
from h2q.evolution.splits import Splits
from h2q.model.tokenizer import decode
from h2q.model.transformer import Transformer

_QUALITY_FACTS = 8  # or windows of prose, whose continuations are looked at
_WRITTEN_BYTES = 48


@dataclass(frozen=True)
class Examiner:
    """Asks any model the same: what is held out of a text and of a knowledge base."""

    splits: Splits
    knowledge: KnowledgeBase | None
    dtype: torch.dtype  # of the computation

    def prose(self, model: Transformer, split: str) -> Evaluation:
        """Losses on the windows of ``split``."""
        stream = self.splits.prose[split]
        return evaluate(model, stream, limit_bytes=len(stream) + 1, dtype=self.dtype)

    def facts_named(self, ids: Iterable[str]) -> list[Fact]:
        """Those of the facts named that are in the knowledge base, if there is one."""
        return self.knowledge.facts_by_id(ids) if self.knowledge else []

    def facts(self, model: Transformer, facts: list[Fact], split: str) -> Scores:
        """Costs and exact match of the answers to a question of ``split`` about each fact."""
        wordings = self.knowledge.wordings if self.knowledge else {}
        return score(model, ask(facts, wordings, split), self.dtype)

    def chance(self, fact: Fact) -> float:
        """How often the commonest object of its relation is right."""
        return gate.chance_of(self.knowledge.objects(fact.relation, fact.lang))

    def answers(self, model: Transformer, facts: list[Fact]) -> list[dict]:
        """Questions of the vault's wordings with the greedy answers and the right ones."""
        asked = ask(facts, self.knowledge.wordings, "vault")
        answers = answer(model, [question.prompt for question in asked])
        return [
            {"question": question.prompt, "answer": decode(text), "right": question.answers[0]}
            for question, text in zip(asked, answers)
        ]

    def quality(self, model: Transformer, facts: list[Fact]) -> Quality:
        """Of the answers about a few of ``facts`` in all held-out wordings; without facts, of
        what follows after held-out prose."""
        return self._quality_of_answers(model, facts) if facts else self._quality_of_prose(model)

    def _quality_of_answers(self, model: Transformer, facts: list[Fact]) -> Quality:
        chosen = facts[:_QUALITY_FACTS]
        wordings = self.knowledge.wordings
        by_split = [
            answer(model, [question.prompt for question in ask(chosen, wordings, split)])
            for split in HELD_OUT
        ]
        known = [fill(statements(wordings, fact)[0], fact) for fact in chosen]
        return quality(list(zip(*by_split)), known, [fact.object for fact in chosen])

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


def ask(facts: Iterable[Fact], wordings: dict, split: str) -> list[Question]:
    """A question for the object of each fact, in one of the wordings of ``split``: which one is
    settled by the fact, so that two models are always asked alike."""
    return [
        Question(_settled(fact, wordings, split), fact.answers, f"{fact.lang}\n{fact.subject}")
        for fact in facts
    ]


def _settled(fact: Fact, wordings: dict, split: str) -> str:
    templates = questions(wordings, fact, split)
    digest = hashlib.sha256(fact.id.encode("utf-8", "surrogatepass")).digest()
    return fill(templates[digest[0] % len(templates)], fact)


EXAMPLES = 3  # questions that are shown with their answers before and after
