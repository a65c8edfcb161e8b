"""Files are whole or not there, whatever happens; a directory is held by one process."""

import errno
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from h2q.system import files
from h2q.system.errors import DirectoryInUse, SaveFailed, UnusableInput
from h2q.system.files import (
    LOCK_NAME,
    link_or_copy,
    locked_directory,
    parse_json,
    promote,
    read_json,
    sha256_of_file,
    write_atomically,
    write_bytes,
    write_json,
)
from tests.conftest import REPOSITORY

IO_ERROR = OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def raising(error):
    def fail(*arguments, **options):
        raise error

    return fail


def record_operations(monkeypatch) -> list:
    """The order of syncs and renames from now on; a sync notes how many bytes it found."""
    done = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        status = os.fstat(descriptor)
        done.append("sync directory" if stat.S_ISDIR(status.st_mode) else status.st_size)
        fsync(descriptor)

    def recorded_replace(source, target):
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return done


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_contents_are_synced_then_renamed_then_the_directory_synced(tmp_path, monkeypatch, size):
    done = record_operations(monkeypatch)
    write_bytes(tmp_path / "file", bytes(size))
    assert done == [size, "rename", "sync directory"]


def test_a_reader_never_finds_a_part(old_file):
    def write(stream):
        stream.write(b"ne")
        stream.flush()
        assert old_file.read_bytes() == b"old"
        stream.write(b"w")

    write_atomically(old_file, write)
    assert old_file.read_bytes() == b"new"
    assert os.listdir(old_file.parent) == ["file"]


def test_missing_directories_are_made(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "file", b"x")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
def test_a_failed_step_leaves_the_old_file_and_no_other(old_file, monkeypatch, function):
    monkeypatch.setattr(os, function, raising(IO_ERROR))
    with pytest.raises(SaveFailed) as caught:
        write_bytes(old_file, b"new")
    assert str(old_file) in str(caught.value)
    assert os.strerror(errno.EIO) in str(caught.value)
    assert old_file.read_bytes() == b"old"
    assert os.listdir(old_file.parent) == ["file"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(IO_ERROR, SaveFailed), (KeyboardInterrupt(), KeyboardInterrupt), (ValueError(), ValueError)],
)
def test_a_failed_write_leaves_the_old_file_and_no_other(old_file, error, expected):
    def write(stream):
        stream.write(b"new")
        raise error

    with pytest.raises(expected):
        write_atomically(old_file, write)
    assert old_file.read_bytes() == b"old"
    assert os.listdir(old_file.parent) == ["file"]


def test_a_place_that_cannot_be_written_is_named(old_file):
    target = old_file / "below" / "a file"
    with pytest.raises(SaveFailed) as caught:
        write_bytes(target, b"new")
    assert str(target) in str(caught.value)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "file", b"x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_link_is_the_same_file_until_one_is_rewritten(old_file):
    other = old_file.with_name("other")
    other.write_bytes(b"before")
    link_or_copy(old_file, other)
    assert other.samefile(old_file)
    write_bytes(old_file, b"new")
    assert other.read_bytes() == b"old"


def test_linking_twice_leaves_no_other_file(old_file):
    other = old_file.with_name("other")
    link_or_copy(old_file, other)
    link_or_copy(old_file, other)
    assert sorted(os.listdir(old_file.parent)) == ["file", "other"]


@pytest.mark.parametrize("links_work", [True, False])
def test_link_or_copy_is_synced_in_order(old_file, monkeypatch, links_work):
    """A copy holds new bytes, which must be on disk before the name shows them."""
    if not links_work:
        monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "no links")))
    done = record_operations(monkeypatch)
    other = old_file.with_name("other")
    link_or_copy(old_file, other)
    assert other.read_bytes() == b"old"
    assert done == [*([] if links_work else [3]), "rename", "sync directory"]


@pytest.mark.parametrize("links_work", [True, False])
@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_link_or_copy_leaves_no_other_file(old_file, monkeypatch, function, links_work):
    other = old_file.with_name("other")
    other.write_bytes(b"before")
    if not links_work:
        monkeypatch.setattr(os, "link", raising(OSError(errno.EPERM, "no links")))
    monkeypatch.setattr(os, function, raising(IO_ERROR))
    with pytest.raises(SaveFailed) as caught:
        link_or_copy(old_file, other)
    assert str(other) in str(caught.value)
    assert sorted(os.listdir(old_file.parent)) == ["file", "other"]
    assert other.read_bytes() in (b"before", b"old")
    assert old_file.read_bytes() == b"old"


@pytest.mark.parametrize("size", [0, 5, 2**20, 2**20 + 1])
def test_sha256_of_file(tmp_path, size):
    data = bytes(index % 251 for index in range(size))
    (tmp_path / "file").write_bytes(data)
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "value", [{}, [], None, "学习 🚀\n", {"b": [1, 0.1, True], "a": {"x": -1e-9}}, "\x1b[31m"]
)
def test_json_round_trip(tmp_path, value):
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json") == value


def test_json_is_written_for_people(tmp_path):
    write_json(tmp_path / "file.json", [{"文": "学"}])
    assert (tmp_path / "file.json").read_bytes() == (
        '[\n  {\n    "文": "学"\n  }\n]\n'.encode()  # readable, ends with a line end
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_not_json_is_not_written(old_file, value):
    with pytest.raises((ValueError, TypeError)):
        write_json(old_file, [value])
    assert old_file.read_bytes() == b"old"


BAD_JSON = {
    "nan": b"[NaN]",
    "infinity": b'{"a": Infinity}',
    "negative infinity": b"-Infinity",
    "overflow": b"[1e999]",
    "negative overflow": b"[-1e999]",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "closed deep lists": b"[" * 200_000 + b"]" * 200_000,
    "giant integer": b"9" * 10_000,
    "nothing": b"",
    "cut": b'{"a": 1',
    "two values": b"1 2",
    "not utf-8": b'"\xff"',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "zeros": bytes(100),
    "text": "文字".encode(),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_unusable_json_is_refused_by_name(tmp_path, name):
    path = tmp_path / "file.json"
    path.write_bytes(BAD_JSON[name])
    with pytest.raises(UnusableInput) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == BAD_JSON[name]


@pytest.mark.parametrize("name", [".", "missing", "missing/file"])
def test_json_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(UnusableInput):
        read_json(tmp_path / name)


def test_json_of_too_many_bytes_is_refused_unread(tmp_path, monkeypatch):
    (tmp_path / "file.json").write_text("[1, 2]")
    monkeypatch.setattr(files, "JSON_LIMIT_BYTES", 5)
    monkeypatch.setattr(files, "parse_json", raising(AssertionError("it was read")))
    with pytest.raises(UnusableInput, match="more than 5 bytes"):
        read_json(tmp_path / "file.json")


@pytest.mark.parametrize("text", ["[NaN]", "[1e999]", "[" * 200_000, ""])
def test_parse_json_raises_nothing_but_value_errors(text):
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize("text", ["1e308", "-0.5", '"NaN"', '"[[[["', "[[[[]]]]", "12345678901"])
def test_parse_json_takes_what_is_json(text):
    assert parse_json(text) == json.loads(text)


HOLD = """
import sys
from h2q.system.files import locked_directory
with locked_directory(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline().split() == [b"held"]
        yield process
        process.kill()


def test_a_directory_in_use_is_refused_and_its_holder_named(tmp_path, holder):
    for _ in range(2):  # being refused changes nothing
        with pytest.raises(DirectoryInUse) as caught, locked_directory(tmp_path):
            pass
        assert str(tmp_path) in str(caught.value)
        assert caught.value.values["holder"] == str(holder.pid)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, None])
def test_the_lock_ends_with_its_process(tmp_path, holder, ending):
    if ending is None:
        holder.stdin.close()
    else:
        holder.send_signal(ending)
    holder.wait(timeout=60)
    with locked_directory(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == str(os.getpid())


def test_the_lock_ends_with_the_block_even_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked_directory(tmp_path):
        raise KeyError
    with locked_directory(tmp_path):
        pass


def test_the_lock_is_held_against_the_same_process(tmp_path):
    with locked_directory(tmp_path), pytest.raises(DirectoryInUse), locked_directory(tmp_path):
        pass


def test_what_an_earlier_holder_left_does_no_harm(tmp_path):
    (tmp_path / LOCK_NAME).write_bytes(b"\xff\xfe" * 100)
    with locked_directory(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == str(os.getpid())


def test_a_missing_directory_is_made_and_held(tmp_path):
    with locked_directory(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK_NAME).exists()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_directory_that_cannot_be_made_is_refused(old_file, name):
    with pytest.raises(SaveFailed) as caught, locked_directory(old_file.parent / name):
        pass
    assert str(old_file.parent / name) in str(caught.value)


def test_if_only_the_directory_is_not_synced_the_error_says_so(old_file, monkeypatch):
    """The new file is in its place then; nothing claims that the old one is as it was."""
    monkeypatch.setattr(files, "sync_directory", raising(IO_ERROR))
    other = old_file.with_name("other")
    other.write_bytes(b"new")
    for write in (lambda: write_bytes(old_file, b"new"), lambda: link_or_copy(other, old_file)):
        with pytest.raises(SaveFailed) as caught:
            write()
        assert caught.value.key == "save.not_synced"
        assert str(old_file) in str(caught.value)
        assert old_file.read_bytes() == b"new"
        old_file.write_bytes(b"old")


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    """A child is killed while it writes; what it wrote goes, a person's hidden file stays."""
    code = (
        "import os, sys; from pathlib import Path; from h2q.system.files import write_atomically\n"
        "write_atomically(Path(sys.argv[1]) / 'f', lambda stream: os.kill(os.getpid(), 9))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=REPOSITORY, check=False)
    (tmp_path / ".mine.tmp").write_bytes(b"x")
    assert len(os.listdir(tmp_path)) == 2
    files.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [".mine.tmp"]
    files.remove_leftovers(tmp_path / "missing")


def test_a_directory_that_can_be_written_is_made_and_left_empty(tmp_path, old_file):
    files.require_writable(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []
    with pytest.raises(SaveFailed, match="file"):
        files.require_writable(old_file / "below")


def test_json_in_a_pipe_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UnusableInput, match=r"pipe\.json"):
        read_json(tmp_path / "pipe.json")


def test_promotion_is_one_rename_made_durable(old_file, monkeypatch):
    new = old_file.with_name("new")
    new.write_bytes(b"new")
    done = record_operations(monkeypatch)
    promote(new, old_file)
    assert done == ["rename", "sync directory"]
    assert old_file.read_bytes() == b"new" and not new.exists()


def test_a_promotion_that_fails_names_its_target(old_file):
    with pytest.raises(SaveFailed, match="file"):
        promote(old_file.with_name("missing"), old_file)
    assert old_file.read_bytes() == b"old"


def test_windows_makes_renames_durable_by_itself(tmp_path, monkeypatch):
    done = record_operations(monkeypatch)
    monkeypatch.setattr(os, "name", "nt")
    files.sync_directory(tmp_path)
    assert done == []


def test_json_may_begin_with_a_mark(tmp_path):
    """Editors of Windows write one."""
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}
