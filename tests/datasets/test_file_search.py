"""Which files are read below a path, and which are named as left out."""

import os
from pathlib import Path

import pytest

from h2q.datasets.file_search import Found, by_reason, find_files, without_text
from h2q.datasets.text_files import scan
from h2q.system.errors import CorpusError


def test_files_are_found_sorted_nested_and_in_any_case(folder):
    (folder / "b" / "c").mkdir(parents=True)
    names = ["a.txt", "b/UPPER.TXT", "b/c/Mixed.Txt", "z.txt", "文.txt"]
    for name in [*reversed(names), "a.md", "txt", "a.txt.bak", "b/c/atxt"]:
        (folder / name).write_bytes(b"text")
    assert find_files(folder).files == sorted(folder / name for name in names)


def test_one_file_of_any_name(folder, cache):
    path = folder / "notes.md"
    path.write_bytes(b"text")
    assert find_files(path).files == [path]
    assert [file.path for file in scan(path, cache).files] == [path]


def test_missing_path(folder):
    with pytest.raises(CorpusError) as caught:
        find_files(folder / "nowhere")
    assert caught.value.key == "corpus.missing"
    assert str(folder / "nowhere") in str(caught.value)


def test_directory_that_cannot_be_listed(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CorpusError, match="Permission denied") as caught:
        find_files(folder)
    assert caught.value.key == "corpus.unreadable"


def test_a_file_reached_twice_counts_once(folder, tmp_path):
    (folder / "a.txt").write_bytes(b"text")
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"other")
    (folder / "b.txt").symlink_to("a.txt")
    (folder / "c.txt").symlink_to(outside)
    (folder / "d.txt").symlink_to("c.txt")
    found = find_files(folder).files
    assert {path.read_bytes() for path in found} == {b"text", b"other"}
    assert len(found) == 2


def test_which_of_two_names_counts_does_not_depend_on_the_disk(folder, monkeypatch):
    """The order of a directory differs from one machine to the next."""
    (folder / "a.txt").write_bytes(b"text")
    (folder / "z.txt").symlink_to("a.txt")
    walk = os.walk

    def shuffled(reverse):
        def walk_in_order(*arguments, **options):
            for path, directories, names in walk(*arguments, **options):
                yield path, directories, sorted(names, reverse=reverse)

        return walk_in_order

    found = []
    for reverse in (False, True):
        monkeypatch.setattr(os, "walk", shuffled(reverse))
        found.append(find_files(folder).files)
    assert found[0] == found[1]


def test_loop_of_directories_ends(folder):
    (folder / "b").mkdir()
    (folder / "b" / "a.txt").write_bytes(b"text")
    (folder / "b" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to("self")
    assert find_files(folder).files == [folder / "b" / "a.txt"]


def test_links_to_directories_are_not_followed(folder, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_bytes(b"text")
    (folder / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    assert find_files(folder).files == []


def test_a_link_by_a_path_of_links_counts_once(folder, tmp_path, monkeypatch):
    (folder / "a.txt").write_bytes(b"text")
    (folder / "z.txt").symlink_to(folder / "a.txt")
    (tmp_path / "way").symlink_to(folder, target_is_directory=True)
    monkeypatch.chdir(folder)
    for path in (tmp_path / "way", tmp_path / "way" / ".." / folder.name, Path()):
        assert [file.name for file in find_files(path).files] == ["a.txt"]


# Which formats


def made(folder, *names):
    """Makes empty files; returns ``names`` as paths."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def reasons(folder, include=()):
    """For each reason the paths below ``folder``."""
    left_out = by_reason(find_files(folder, include).left_out)
    return {
        reason: [path.relative_to(folder).as_posix() for path in paths]
        for reason, paths in left_out.items()
    }


def test_beside_txt_nothing_else_is_read_and_all_is_named(folder):
    texts = made(folder, "a.txt", "b/c.TXT")
    made(folder, "n.md", "b/r.docx", "p.png", "x.py")
    assert find_files(folder).files == texts
    assert reasons(folder) == {
        "skip.not_txt": ["n.md", "b/r.docx"],
        "skip.format": ["p.png", "x.py"],
    }


def test_without_txt_every_known_format_is_read(folder):
    names = ["a.md", "b.html", "c.docx", "d.PDF", "e.csv.gz", "result.json", "sub/f.vtt"]
    files = made(folder, *names)
    made(folder, "other.json", "x.py", "archive.tar.gz", "c.docx.gz")
    assert find_files(folder).files == files
    assert list(reasons(folder)) == ["skip.format"]


@pytest.mark.parametrize(
    ("include", "names"),
    [
        (["*"], ["a.txt", "lib/m.py", "n.MD", "p.png"]),
        (["*.md", "*.py"], ["lib/m.py", "n.MD"]),
        (["lib/*"], ["lib/m.py"]),
        (["N.m?"], ["n.MD"]),
        (["*.docx"], []),
    ],
)
def test_patterns_say_what_is_read_and_nothing_else_is(folder, include, names):
    files = made(folder, "a.txt", "lib/m.py", "n.MD", "p.png")
    found = find_files(folder, include)
    assert [path.relative_to(folder).as_posix() for path in found.files] == names
    assert {path for path, _ in found.left_out} == {*files} - {*found.files}
    assert {reason for _, reason in found.left_out} <= {"skip.not_matched"}


def test_hidden_and_generated_directories_are_named_and_not_entered(folder):
    files = made(folder, "n.md", "src/m.md")
    made(folder, ".git/a.txt", ".obsidian/b.md", "web/node_modules/c/README.md")
    made(folder, "__pycache__/d.txt", "my env/pyvenv.cfg", "my env/lib/e.txt")
    for include in ([], ["*.md", "*.txt"]):
        assert find_files(folder, include).files == files
        names = [".git", ".obsidian", "__pycache__", "my env", "web/node_modules"]
        assert sorted(reasons(folder, include)["skip.folder"]) == names


def test_the_directory_that_is_named_is_read_whatever_it_is(tmp_path):
    for place in (tmp_path / ".notes", tmp_path / "node_modules", tmp_path / "env"):
        made(place, "a.md", "pyvenv.cfg")
        assert find_files(place).files == [place / "a.md"]


def test_hidden_files_and_locks_are_named(folder):
    made(folder, "a.md", ".DS_Store", "~$report.docx", ".~lock.b.odt#")
    (folder / ".#diary.md").symlink_to("somebody@machine")
    assert find_files(folder).files == [folder / "a.md"]
    assert sorted(reasons(folder)["skip.hidden"])[:2] == [".#diary.md", ".DS_Store"]
    assert len(reasons(folder)["skip.hidden"]) == 4


def test_a_hidden_txt_is_read_as_ever(folder):
    files = made(folder, ".a.txt")
    assert find_files(folder).files == files


def test_links_to_directories_are_named(folder, tmp_path):
    made(tmp_path / "outside", "a.md")
    (folder / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (folder / "up").symlink_to(folder, target_is_directory=True)
    assert find_files(folder).files == []
    assert reasons(folder) == {"skip.link": ["link", "up"]}


def test_what_our_runs_write_is_neither_read_nor_named(folder):
    made(folder, "a.md", "training_log.json", "training_report.png", ".h2q.lock")
    made(folder, "training_checkpoints/x/a.md", "h2q_project/h2q_trained_model.pt")
    made(folder, "h2q_project/h2q_trained_model.previous.pt", "h2q_project/chat_history")
    assert find_files(folder) == Found([folder / "a.md"])


def test_the_error_for_nothing_to_read_says_why(folder):
    assert without_text(folder, []).key == "corpus.empty"
    unread = [(folder / "a.pdf", "document.pdf"), (folder / "b.png", "skip.format")]
    unread += [(folder / "c.png", "skip.format")]
    error = without_text(folder, unread)
    assert error.key == "corpus.no_text" and "--encoding" not in str(error)
    assert "a.pdf（执行 pip install pypdf" in str(error) and "b.png 等 2 个" in str(error)
    assert "--encoding" in str(without_text(folder, [(folder / "a.txt", "skip.not_text")]))
    alone = str(without_text(folder / "a.pdf", unread[:1]))
    assert alone.count("a.pdf") == 1 and "pypdf" in alone
