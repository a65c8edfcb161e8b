"""Rows 29, 31, 33 and 34: files that are not text or cannot be read."""

import os
import socket
import subprocess
import sys
import traceback

from h2q.datasets.text_files import scan
from h2q.system.paths import CHECKPOINT_DIR

from . import hostile_text
from .nursery import REPOSITORY
from .trials import arguments


def test_row_29_bytes_trained_on_are_the_text_or_the_file_is_skipped(tmp_path):
    texts = hostile_text.hostile_texts(400)
    assert [trial for trial in hostile_text.judge(texts, tmp_path) if trial[1]] == []


def test_the_judge_sees_wrong_bytes(tmp_path, monkeypatch):
    """Shows that the test above can fail."""
    from h2q.datasets import encodings

    def careless(source, encoding, target):
        target.write(source.read_bytes().decode(encoding).encode()[:-3])

    monkeypatch.setattr(encodings, "transcode", careless)
    texts = [("mark", "今天天气很好，我们去公园。".encode("utf-16"))]
    assert [problem for _, problem in hostile_text.judge(texts, tmp_path)] != [""]


def test_row_31_a_gigabyte_in_one_line_takes_bounded_memory(tmp_path):
    """A sparse file of NUL bytes, and one that begins as text, under a limit of memory."""
    for name, head in (("zeros.txt", b""), ("head.txt", b"text " * 300_000)):
        with open(tmp_path / name, "wb") as stream:
            stream.write(head)
            stream.truncate(2**30)
    code = (
        "import resource, sys; from pathlib import Path; from h2q.datasets.text_files import scan\n"
        "size = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, size + 2**26))\n"
        f"found = scan(Path({str(tmp_path)!r}), Path({str(tmp_path / 'cache')!r}))\n"
        "print(len(found.files), [reason for _, reason in found.skipped])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.stdout == "0 ['skip.not_text', 'skip.not_text']\n", run.stderr


def test_row_33_pipes_devices_and_sockets_are_skipped(nursery, runs, tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "good.txt").write_bytes(runs.text.read_bytes())
    os.mkfifo(folder / "pipe.txt")
    (folder / "zero.txt").symlink_to("/dev/zero")
    (folder / "loop.txt").symlink_to("loop.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.txt"))
        ending = nursery.train(*arguments(folder, tmp_path / "out", epochs=1))
    assert ending.code == 0, ending.stderr
    for name in ("pipe.txt", "zero.txt", "socket.txt", "loop.txt"):
        assert name in ending.stderr
    assert not list((tmp_path / "out" / CHECKPOINT_DIR).glob("transcoded/*"))


def test_row_34_files_without_permission_are_listed(root, tmp_path):
    """As another user, because permissions do not stop root."""
    folder = tmp_path / "text"
    folder.mkdir()
    for name in ("open.txt", "closed.txt"):
        (folder / name).write_text("some text\n" * 100)
    (folder / "closed.txt").chmod(0)
    (folder / "shut").mkdir()
    (folder / "shut").chmod(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            tmp_path.chmod(0o755)
            os.chroot(tmp_path)  # the way to it need not be open to others
            os.chdir("/")
            os.setuid(65534)
            found = scan("text", "cache")
            skipped = {path.name: reason for path, reason in found.skipped}
            assert [file.path.name for file in found.files] == ["open.txt"], found
            assert skipped == {"closed.txt": "skip.denied", "shut": "skip.denied"}, skipped
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
