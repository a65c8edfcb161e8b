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
        ("home/notes.md", True),
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


def test_facts_stand_in_tables_and_notes_too(tmp_path):
    (tmp_path / "f.csv").write_text("name,job,town\nLena,dentist,Marlow\n")
    (tmp_path / "n.md").write_text("# Omar\njob: pilot\ntown: Denby\n\nHe likes tea.\n")
    table = list(contents(Source(tmp_path / "f.csv", "f", True)))
    facts = [(line, fact.relation, fact.object) for line, fact in table if isinstance(fact, Fact)]
    assert facts == [(2, "job", "dentist"), (2, "town", "Marlow")]
    notes = list(contents(Source(tmp_path / "n.md", "n", True)))
    facts = [(line, fact.subject, fact.object) for line, fact in notes if isinstance(fact, Fact)]
    assert facts == [(2, "Omar", "pilot"), (3, "Omar", "Denby")]
    assert (5, "He likes tea.") in notes


def test_notes_are_read_out_of_their_format(tmp_path):
    (tmp_path / "page.html").write_text("<p>The <b>boiler</b> is old.</p>")
    assert list(contents(Source(tmp_path / "page.html", "p", False))) == [(1, "The boiler is old.")]
