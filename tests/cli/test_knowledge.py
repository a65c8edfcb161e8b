"""Whose knowledge is taught, and what is said about it."""

from pathlib import Path

import pytest

from h2q.cli.knowledge import knowledge_path, open_knowledge, report_knowledge
from h2q.datasets.sample_text import create_sample_text
from h2q.system.console import Console
from h2q.system.errors import KnowledgeError, SettingError
from h2q.system.messages.catalogue import set_language
from h2q.system.paths import OutputPaths, shipped_knowledge_dir
from tests.cli.conftest import training
from tests.conftest import make_text

PROBLEMS = 13
OWN, TEXT = Path("data/knowledge_base"), Path("data/training_data")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with a knowledge base that is partly unusable."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "facts.jsonl").write_text("rubbish\n" * PROBLEMS)
    passages = "\n\n".join(make_text(400, seed) for seed in range(10, 16))
    (tmp_path / "kb" / "passages.txt").write_text(passages, encoding="utf-8")
    return tmp_path


def write_text(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(make_text(600), encoding="utf-8")


def test_who_gave_nothing_is_taught_what_comes_with_the_program(place):
    """Before and after the sample text was created."""
    assert knowledge_path(training()) == shipped_knowledge_dir()
    create_sample_text(TEXT)
    assert knowledge_path(training()) == shipped_knowledge_dir()
    assert knowledge_path(training("--data_dir", TEXT)) == shipped_knowledge_dir()


def test_own_text_is_not_joined_by_facts_of_ours(place):
    write_text(place / "novel.txt")
    assert knowledge_path(training("--data_dir", "novel.txt")) is None
    create_sample_text(TEXT)
    write_text(TEXT / "mine.txt")
    assert knowledge_path(training()) is None
    assert open_knowledge(training(), OutputPaths(place), 64) is None
    assert knowledge_path(training("--knowledge", "shipped")) == shipped_knowledge_dir()


def test_own_facts_are_taught_and_no_others(place):
    """Also beside the sample text."""
    write_text(OWN / "notes.md")
    assert knowledge_path(training()) == OWN
    assert knowledge_path(training("--knowledge_dir", "kb")) == Path("kb")
    assert knowledge_path(training("--knowledge", "shipped")) == shipped_knowledge_dir()
    knowledge = open_knowledge(training(), OutputPaths(place), 64)
    assert (knowledge.fact_count, knowledge.passage_count) == (0, 1)


def test_a_default_directory_without_knowledge_stands_for_the_text(place):
    OWN.mkdir(parents=True)
    (OWN / "wordings.json").write_text("{}")
    assert knowledge_path(training()) is None
    with pytest.raises(KnowledgeError):
        open_knowledge(training("--knowledge_dir", OWN), OutputPaths(place), 64)


def test_only_one_knowledge_base_can_be_named():
    with pytest.raises(SettingError) as caught:
        training("--knowledge", "shipped", "--knowledge_dir", "kb")
    assert caught.value.key == "usage.knowledge"
    training("--knowledge", "own", "--knowledge_dir", "kb")
    with pytest.raises(SettingError, match="own"):
        training("--knowledge", "ours")


def test_the_encoding_that_is_named_is_not_that_of_our_files(place):
    call = training("--knowledge", "shipped", "--encoding", "utf-16")
    assert open_knowledge(call, OutputPaths(place / "out"), 512).problem_count == 0


def test_a_file_may_be_the_knowledge_base(place):
    (place / "facts.csv").write_text("name,job\nLena,dentist\n")
    call = training("--knowledge_dir", "facts.csv")
    assert open_knowledge(call, OutputPaths(place / "out"), 512).fact_count == 1


def test_what_cannot_be_used_is_shown_and_all_of_it_written(place, capsys):
    call, paths = training("--knowledge_dir", "kb"), OutputPaths(place / "out")
    knowledge = open_knowledge(call, paths, 512)
    assert paths.knowledge_index.exists()
    report_knowledge(call, knowledge, paths.knowledge_problems, Console())
    said = capsys.readouterr()
    assert "段落 6" in said.out
    assert said.err.count("facts.jsonl 第") == 10
    assert f"{PROBLEMS - 10} 处" in said.err.splitlines()[-1]
    lines = paths.knowledge_problems.read_text(encoding="utf-8").splitlines()
    assert len(lines) == PROBLEMS
    assert lines[4].startswith(f"{Path('kb', 'facts.jsonl')}:5: ")


def test_a_dry_run_writes_no_list_and_says_what_each_file_holds(place, capsys):
    set_language("en")
    call, paths = training("--knowledge_dir", "kb"), OutputPaths(place / "out")
    (place / "kb" / "family.md").write_text("# Lena\njob: dentist\ntown: Ulm\n\nQ: Who?\nA: x\n")
    report_knowledge(call, open_knowledge(call, paths, 512), None, Console())
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == [
        f"   📄 facts.jsonl: faulty {PROBLEMS}",
        "   📄 family.md: key: value lines 2 · questions with answers 1",
        "   📄 passages.txt: passages 6",
    ]
    assert said.err.count("facts.jsonl, line") == 10
    assert "3 more cannot be used" in said.err.splitlines()[-1]
    assert not paths.knowledge_problems.exists()


def test_a_dry_run_names_twenty_files_at_most(place, capsys):
    for number in range(22):
        (place / "kb" / f"{number:02}.txt").write_text("a passage\n")
    call = training("--knowledge_dir", "kb")
    report_knowledge(call, open_knowledge(call, OutputPaths(place), 64), None, Console())
    said = capsys.readouterr().out
    assert said.count("📄") == 20 and "另外 4 个文件" in said


@pytest.mark.parametrize("name", ["kb", None])
def test_files_that_are_not_read_are_named(place, capsys, name):
    """Also where nothing else is there."""
    flags = ("--knowledge_dir", name) if name else ()
    for file in (place / (name or OWN) / "family.xlsx", place / (name or OWN) / "z.pdf"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    write_text(TEXT / "mine.txt")
    call = training(*flags)
    report_knowledge(call, open_knowledge(call, OutputPaths(place), 64), None, Console())
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith("⏭️") and "2 个文件" in said and "family.xlsx" in said


def test_a_file_that_is_no_text_is_named_without_a_line(place, capsys):
    (place / "kb" / "facts.jsonl").write_bytes("name;job\nMüller;Bäcker\n".encode("cp1252"))
    call = training("--knowledge_dir", "kb")
    report_knowledge(call, open_knowledge(call, OutputPaths(place), 512), None, Console())
    [said] = capsys.readouterr().err.splitlines()
    assert "facts.jsonl 未采用" in said and "--encoding" in said


def test_few_problems_need_no_list(place, capsys):
    (place / "kb" / "facts.jsonl").write_text("rubbish\n" * 10)
    call, paths = training("--knowledge_dir", "kb"), OutputPaths(place / "out")
    report_knowledge(call, open_knowledge(call, paths, 512), paths.knowledge_problems, Console())
    assert not paths.knowledge_problems.exists()


def test_that_the_text_itself_is_taught_is_said(place, capsys):
    report_knowledge(training(), None, None, Console())
    said = capsys.readouterr().out
    assert "data/knowledge_base" in said and "--knowledge shipped" in said
