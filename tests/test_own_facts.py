"""The benchmark of a person's own facts, as far as it can go without training."""

import sys

from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import LANGUAGES
from h2q.system.paths import shipped_knowledge_dir
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "evolution"))
from own_facts import OBJECTS, write_facts


def test_it_writes_three_facts_of_each_person_without_faults(tmp_path):
    write_facts(tmp_path, 60, 42)
    base = load_knowledge_base(tmp_path)
    facts = list(base.facts())
    assert (base.fact_count, base.problem_count) == (180, 0)
    assert len({(fact.lang, fact.subject) for fact in facts}) == 60
    assert {fact.lang for fact in facts} == set(LANGUAGES)
    write_facts(tmp_path / "again", 60, 42)
    assert list(load_knowledge_base(tmp_path / "again").facts()) == facts


def test_its_relations_have_no_wordings_of_their_own():
    shipped = load_knowledge_base(shipped_knowledge_dir()).wordings
    assert not shipped.keys() & {name for relations in OBJECTS.values() for name in relations}
