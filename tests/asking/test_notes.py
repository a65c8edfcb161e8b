from h2q.asking import notes as module
from h2q.asking.index import Index
from h2q.asking.notes import lines_about
from h2q.asking.question import parsed
from h2q.asking.sources import find_sources


def about(index, question):
    return [line.line for line in lines_about(parsed(question), index)]


def indexed(tmp_path, text):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n.md").write_text(text, encoding="utf-8")
    index = Index(None)
    index.refresh(find_sources(tmp_path / "notes", None))
    return index


def test_the_line_that_speaks_of_all_that_is_named(asker):
    index = asker._lookup.index
    assert about(index, "when did the gate code change?") == [4]
    assert about(index, "咖啡机怎么除垢") == [5]
    assert about(index, "the gate of the moon palace") == []
    assert about(index, "?") == []


def test_words_of_the_heading_count_too(asker):
    assert about(asker._lookup.index, "how to descale the coffee machine?") == [2]


def test_a_typo_and_another_ending_are_understood(asker):
    assert about(asker._lookup.index, "descaling coffee mashine") == [2]


def test_rare_words_weigh_more(tmp_path):
    index = indexed(tmp_path, "the garden gate\n" * 50 + "the garden fountain\n")
    assert about(index, "garden fountain") == [51]
    assert len(about(index, "garden gate")) == module.MOST_SHOWN
    index.close()


def test_lines_with_frequent_words_are_not_all_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_LINES", 10)
    index = indexed(tmp_path, "garden\n" * 50 + "garden fountain\n")
    wanted = module._wanted(parsed("garden fountain"), index)
    assert module._search_terms(wanted) == ["fountain"]
    assert about(index, "garden fountain") == [51] and about(index, "garden")
    index.close()
