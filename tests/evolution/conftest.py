"""A tiny base model, and the same model after two cycles, for all tests of evolution."""

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from h2q.checkpoint.model_file import load_model
from h2q.datasets.knowledge_base import KnowledgeBase, load_knowledge_base
from h2q.evolution.context import Course, Cycle
from h2q.evolution.engine import SelfEvolutionEngine
from h2q.evolution.records import Memory, Plan
from h2q.system.errors import Interrupted
from h2q.system.paths import shipped_knowledge_dir
from h2q.training.trainer import LocalModelTrainer
from tests.conftest import REPOSITORY, run_file
from tests.evolution import evolution_driver as driver

DRIVER = Path(__file__).with_name("evolution_driver.py")


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Text, knowledge base and a model that still has much to learn."""
    path = tmp_path_factory.mktemp("base") / "out"
    driver.prepare(path)
    return path


@pytest.fixture
def output(base, tmp_path):
    return shutil.copytree(base, tmp_path / "out")


@pytest.fixture(scope="session")
def evolved(base, tmp_path_factory):
    """The base after two undisturbed cycles, which run in another process."""
    path = shutil.copytree(base, tmp_path_factory.mktemp("evolved") / "out")
    run_driver(path)
    return path


@pytest.fixture
def training_only(monkeypatch):
    """Training that ends at once and changes nothing, for tests that do not depend on training."""
    monkeypatch.setattr(LocalModelTrainer, "train", lambda self: self.model.eval())


@pytest.fixture(scope="session")
def shipped() -> KnowledgeBase:
    return load_knowledge_base(shipped_knowledge_dir())


def run_driver(output: Path, *arguments: str, killed: bool = False) -> None:
    """Two cycles in another process; ``evolution_driver`` describes its ``arguments``."""
    done = run_file(DRIVER, output, *arguments, cwd=REPOSITORY)
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr


def interrupt(*_):
    raise Interrupted("train.interrupted", step=1, path="x")


def some(shipped: KnowledgeBase, count: int) -> list:
    """Facts from all over the shipped knowledge base."""
    return [shipped.fact(1 + 89 * index % shipped.fact_count) for index in range(count)]


def cycle_of(engine: SelfEvolutionEngine, **changes) -> Cycle:
    """The first cycle of an engine that nothing has learnt yet."""
    champion, provenance = load_model(engine.paths.model)
    cycle = Cycle(
        setup=engine.setup,
        number=1,
        champion=champion,
        provenance=provenance,
        memory=Memory(),
        config=engine.config,
        size_bytes=engine.config.cycle_bytes,
        rounds=engine.config.rounds,
        course=Course(0, 1),
    )
    return replace(cycle, **changes)


def plan_of(**changes) -> Plan:
    """A plan that teaches prose."""
    plan = Plan(
        champion="",
        dev_bits_per_byte=8.0,
        facts=[],
        exposures=0,
        review=[],
        teaches_prose=True,
        primary="prose",
    )
    return replace(plan, **changes)
