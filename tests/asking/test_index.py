import os
import sqlite3
import time

import pytest

from h2q.asking import index as module
from h2q.asking.index import Index
from h2q.asking.sources import find_sources
from tests.asking.conftest import fact_line


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache" / "ask.sqlite"


@pytest.fixture
def opened(family, place):
    """Opens the index at ``place`` (or elsewhere), brought up to date."""
    kept = []

    def opened(path=place):
        index = Index(path)
        kept.append(index)
        index.refresh(find_sources(family, None))
        return index

    yield opened
    for index in kept:
        index.close()


def subjects(index, *terms):
    return {placed.fact.subject for placed in index.facts(terms, "subject")}


def test_facts_are_found_by_subject_and_by_object(opened):
    index = opened()
    assert subjects(index, "lena") == {"Lena Hart"}
    assert subjects(index, "王明", "wifi") == {"王明", "Wi-Fi"}
    [placed] = index.facts(["baker"], "object")
    assert (placed.fact.object, placed.file, placed.line) == ("baker", "family.jsonl", 3)
    assert index.facts([], "subject") == [] and index.facts(["job"], "subject") == []


def test_lines_come_with_what_they_belong_to(opened):
    [line] = opened().lines(["vinegar"])
    assert (line.text, line.file, line.line) == (
        "Descale it with vinegar, twice.",
        "home/notes.md",
        2,
    )
    assert line.heading == line.before == "# Coffee machine"
    [line] = opened().lines(["gate"])
    assert line.before == "", "a blank line separates it"


def test_a_word_is_found_by_what_a_typo_leaves(opened):
    index = opened()
    assert index.spellings("lnea") == ["lena"] and index.spellings("x") == []
    assert "vinegar" in index.spellings("vinegr")
    assert index.rarity("vinegar") == (1, 4) and index.rarity("nowhere") == (0, 4)
    assert index.is_word_of_facts("hart") and not index.is_word_of_facts("dentist")


def test_an_index_on_disk_is_used_again(opened, monkeypatch):
    opened().close()
    monkeypatch.setattr(module, "_read", None)
    assert subjects(opened(), "lena") == {"Lena Hart"}


def test_only_what_changed_is_read_again(family, opened, monkeypatch):
    opened().close()
    read, reading = [], module._read
    monkeypatch.setattr(
        module, "_read", lambda c, source, n: read.append(source.name) or reading(c, source, n)
    )
    (family / "new.jsonl").write_text(fact_line(9, "Ada", "job", "pilot", "en"))
    (family / "home" / "notes.md").touch()  # the same as before
    index = opened()
    assert read == ["new.jsonl"] and subjects(index, "ada") == {"Ada"}
    (family / "family.jsonl").write_text(fact_line(1, "Lena Hart", "job", "nurse", "en"))
    (family / "new.jsonl").unlink()
    index.refresh(find_sources(family, None))
    assert read == ["new.jsonl", "family.jsonl"]
    assert subjects(index, "ada", "tom") == set()
    assert [placed.fact.object for placed in index.facts(["lena"], "subject")] == ["nurse"]


def test_a_change_that_size_and_time_do_not_tell_is_seen_while_a_file_is_young(family, opened):
    path = family / "family.jsonl"
    index = opened()
    status = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("baker", "boxer"), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    index.refresh(find_sources(family, None))
    assert index.facts(["boxer"], "object") and not index.facts(["baker"], "object")


def test_the_time_of_an_old_file_is_trusted(family, opened, monkeypatch):
    long_ago = time.time_ns() - 10**12
    for path in family.rglob("*.*"):
        os.utime(path, ns=(long_ago, long_ago))
    opened().close()
    monkeypatch.setattr(module, "sha256_of_file", None)
    assert not opened().is_empty()


@pytest.mark.parametrize("damage", ["text", "version", "foreign", "pages"])
def test_a_damaged_index_is_built_anew(place, opened, damage):
    opened().close()
    if damage == "text":
        place.write_bytes(b"no index " * 1000)
    elif damage == "pages":
        data = bytearray(place.read_bytes())
        data[8192:] = b"\xff" * (len(data) - 8192)
        place.write_bytes(data)
    else:
        with sqlite3.connect(place) as connection:
            if damage == "version":
                connection.execute("PRAGMA user_version = 99")
            else:
                connection.executescript("PRAGMA user_version = 0; CREATE TABLE mine (x)")
        connection.close()
    assert subjects(opened(), "lena") == {"Lena Hart"}
    assert subjects(opened(), "王明") == {"王明"}


def test_damage_that_shows_later_is_mended(place, opened):
    index = opened()
    index._connection.execute("DROP TABLE fact_words_data")
    assert subjects(index, "lena") == {"Lena Hart"}


def test_where_nothing_can_be_written_the_index_is_in_memory(tmp_path, opened):
    (tmp_path / "file").write_text("not a directory")
    assert subjects(opened(tmp_path / "file" / "ask.sqlite"), "lena") == {"Lena Hart"}
    assert subjects(opened(None), "lena") == {"Lena Hart"}


def test_another_process_that_writes_does_not_hinder(place, opened, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.0)
    place.parent.mkdir()
    opened().close()
    place.unlink()
    Index(place).close()
    with sqlite3.connect(place) as other:
        other.execute("BEGIN IMMEDIATE")
        assert subjects(opened(), "lena") == {"Lena Hart"}
    other.close()


def test_a_file_that_vanishes_is_left_out(family, place):
    sources = find_sources(family, None)
    (family / "family.jsonl").unlink()
    index = Index(place)
    index.refresh(sources)
    assert subjects(index, "lena") == set() and index.lines(["gate"])
    index.close()


def test_of_a_file_that_fails_while_it_is_read_nothing_is_left(family, opened, monkeypatch):
    reading = module.contents

    def failing(source):
        yield from reading(source)
        if source.name == "family.jsonl":
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "contents", failing)
    index = opened()
    assert subjects(index, "lena") == set() and index.lines(["gate"])
    monkeypatch.undo()
    index.refresh(find_sources(family, None))
    assert subjects(index, "lena") == {"Lena Hart"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(family, opened):
    os.mkfifo(family / "pipe.txt")
    (family / "gone.txt").symlink_to(family / "nowhere")
    assert subjects(opened(), "lena") == {"Lena Hart"}


def test_a_long_line_is_kept_in_parts(family, opened):
    (family / "long.txt").write_text("word " * 1000 + "needle\n")
    [line] = opened().lines(["needle"])
    assert line.line == 1 and len(line.text) <= 2000


def test_what_is_read_is_kept_from_time_to_time(family, place, opened, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_SECONDS", -1)
    monkeypatch.setattr(
        module, "_insert_spellings", lambda connection, words: 1 / ("lena" in words)
    )
    with pytest.raises(ZeroDivisionError):
        opened()
    monkeypatch.undo()
    with sqlite3.connect(place) as connection:
        assert connection.execute("SELECT name FROM files").fetchall() == [("family.jsonl",)]
    connection.close()
