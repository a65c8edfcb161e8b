import pytest

from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.sample_text import create_sample_text, is_sample_text
from h2q.datasets.templates import LANGUAGES, fill, statements
from h2q.system.paths import shipped_data, shipped_knowledge_dir


def test_sample_text_is_600_to_700_kb_most_of_it_prose_and_repeats_nothing(tmp_path):
    """README 示例数据: 系统会自动创建示例数据."""
    paths = create_sample_text(tmp_path)
    size = sum(path.stat().st_size for path in paths)
    prose = sum(path.stat().st_size for path in (shipped_data() / "sample_text").iterdir())
    assert 600_000 <= size <= 700_000
    assert prose > size * 3 / 4
    passages = [
        passage
        for path in paths
        for passage in path.read_text(encoding="utf-8").strip().split("\n\n")
    ]
    assert len(set(passages)) == len(passages)
    again = create_sample_text(tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_each_language_holds_its_passages_and_a_third_of_the_facts(tmp_path):
    base = load_knowledge_base(shipped_knowledge_dir())
    for lang, path in zip(LANGUAGES, create_sample_text(tmp_path)):
        assert path.name == f"sample_{lang}.txt"
        own = (shipped_data() / "sample_text" / f"passages.{lang}.txt").read_text(encoding="utf-8")
        found = set(path.read_text(encoding="utf-8").strip().split("\n\n"))
        assert set(own.strip().split("\n\n")) <= found
        facts = [fact for fact in base.facts() if fact.lang == lang]
        stated = [
            any(fill(template, fact) in found for template in statements(base.wordings, fact))
            for fact in facts
        ]
        assert 0.32 < sum(stated) / len(facts) < 0.35


@pytest.mark.parametrize("lang", LANGUAGES)
def test_shipped_passages(lang):
    path = shipped_data() / "sample_text" / f"passages.{lang}.txt"
    passages = path.read_text(encoding="utf-8").strip().split("\n\n")
    assert len(passages) >= 300
    assert len(set(passages)) == len(passages)
    assert all(150 <= len(passage.encode("utf-8")) <= 1000 for passage in passages)
    chinese = sum("\u4e00" <= char <= "\u9fff" for passage in passages for char in passage)
    assert (chinese > 10_000) == (lang == "zh")


def test_sample_text_is_known_by_its_names(tmp_path):
    files = create_sample_text(tmp_path)
    assert is_sample_text(files) and is_sample_text(files[:1])
    assert not is_sample_text([*files, tmp_path / "mine.txt"])
