import pytest

from h2q.asking.sources import Source, contents, find_sources
from h2q.datasets.templates import Fact
from h2q.system.errors import CorpusError, KnowledgeError


def test_the_files_of_both_directories_with_the_names_that_answers_give(family, tmp_path):
    diary = tmp_path / "diary" / "2026" / "may.txt"
    diary.parent.mkdir(parents=True)
    diary.write_text("x")
    found = find_sources(family, tmp_path / "diary")
    assert {(source.name, source.holds_facts) for source in found} == {
        ("family.jsonl", True),
        ("home/notes.md", False),
        ("2026/may.txt", False),
    }
    assert [source.name for source in find_sources(None, diary)] == ["may.txt"]
    assert find_sources(None, None) == []


def test_a_file_in_both_directories_counts_once(family):
    (family / "home" / "more.txt").write_text("x")
    assert [source.name for source in find_sources(family, family)].count("home/more.txt") == 1


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(KnowledgeError, match="nowhere"):
        find_sources(tmp_path / "nowhere", None)
    with pytest.raises(CorpusError, match="nowhere"):
        find_sources(None, tmp_path / "nowhere")


def test_a_line_is_a_fact_or_text(family, tmp_path):
    facts = [content for _, content in contents(Source(family / "family.jsonl", "f", True))]
    assert len(facts) == 7 and all(isinstance(content, Fact) for content in facts)
    notes = dict(contents(Source(family / "home" / "notes.md", "n", False)))
    assert notes[1] == "# Coffee machine" and 3 not in notes and len(notes) == 4


def test_a_faulty_fact_is_text(tmp_path):
    (tmp_path / "f.jsonl").write_text('{"subject": "Lena"\n')
    assert list(contents(Source(tmp_path / "f.jsonl", "f", True))) == [(1, '{"subject": "Lena"')]


def test_what_is_not_text_is_left_out(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\x00\xff\xfe")
    assert list(contents(Source(tmp_path / "b.txt", "b", False))) == []
