"""What the phases of a cycle work with: ``Setup`` for all cycles, ``Cycle`` for one of them.

Holds values only: it neither runs nor decides anything.
"""

import functools
from dataclasses import dataclass
from typing import Any

import torch

from h2q.config import EvolutionConfig, TrainingConfig
from h2q.datasets.corpus import Corpus
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import Fact
from h2q.evolution.examiner import Examiner
from h2q.evolution.records import Memory, Plan, load
from h2q.evolution.splits import Splits, is_asked
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.paths import CyclePaths, OutputPaths

_COURSE_CYCLES = 3


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What stays the same in all cycles of an evolution."""

    paths: OutputPaths
    corpus: Corpus
    knowledge: KnowledgeBase | None
    splits: Splits
    examiner: Examiner
    training: TrainingConfig  # of the base model
    device: str
    dtype: torch.dtype  # of the computation
    console: Console

    @property
    def seed(self) -> int:
        return self.training.seed


@dataclass(frozen=True)
class Course:
    """Several cycles in which prose is learnt as if in one training run, and the place of one cycle
    among them. The learning rate falls once over all of them."""

    index: int  # of the cycle, from 0
    count: int  # of cycles

    @classmethod
    def of_cycle(cls, number: int, first_cycle: int, last_cycle: int) -> "Course":
        """The course of cycle ``number`` in a run from ``first_cycle`` to ``last_cycle``."""
        index = (number - first_cycle) % _COURSE_CYCLES
        return cls(index, min(_COURSE_CYCLES, last_cycle - number + index + 1))

    @property
    def goes_on(self) -> bool:
        """Whether another cycle follows."""
        return self.index + 1 < self.count


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What belongs to one cycle."""

    setup: Setup
    number: int  # of all cycles in the statistics, from 1
    champion: Transformer
    provenance: dict[str, Any]  # of the champion
    memory: Memory
    config: EvolutionConfig  # adapted to the outcome of earlier cycles
    size_bytes: int  # of the text of one round
    rounds: int  # most of this cycle
    course: Course
    round: int = 1  # the one that is taught

    @property
    def paths(self) -> CyclePaths:
        return self.setup.paths.cycle(self.number)

    @property
    def round_paths(self) -> CyclePaths:
        return self.paths.round(self.round)

    @property
    def round_name(self) -> str:
        """Tells this round from all others of the evolution."""
        return str(self.number) if self.round == 1 else f"{self.number}.{self.round}"

    @functools.cached_property
    def tested(self) -> frozenset[str]:
        """Ids of the facts that earlier cycles of this base model taught and measured."""
        earlier = range(self.memory.first_cycle, self.number)
        plans = (load(Plan, self.setup.paths.cycle(number).plan) for number in earlier)
        return frozenset(name for plan in plans if plan is not None for name in plan.facts)

    def may_ask(self, fact: Fact) -> bool:
        """Whether questions about ``fact`` may be trained on: about most entities they may, and about
        every fact once it was measured without them."""
        share = self.config.unasked_share
        return fact.id in self.tested or is_asked(fact, share, self.setup.seed)

    @property
    def retained(self) -> list[str]:
        """Ids of the facts learnt before that are asked again."""
        return self.memory.some_known(self.setup.seed)
