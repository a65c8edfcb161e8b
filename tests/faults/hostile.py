"""Hostile model and checkpoint files, mutations of a good file, and a process that loads them.

    python -m tests.faults.hostile DIRECTORY      (writes the corpus there and prints how many files)

A file is loaded as a model and as a checkpoint, in a process whose memory may grow by 1 GB, within
10 seconds, under an audit hook. The audit hook does not see everything; that no process is started
and no socket is opened is proven with ``strace`` (``test_hostile_files``, ``test_network``).
"""

import contextlib
import io
import itertools
import json
import os
import pickle
import random
import resource
import select
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from h2q.checkpoint import container
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer

REPOSITORY = Path(__file__).resolve().parents[2]
MEMORY_BYTES = 2**30
SECONDS = 10
_CONFIG = ModelConfig(embed_dim=16, n_heads=2, n_layers=1, context_length=32, feedforward_dim=16)
_METADATA = {"kind": "model", "model": vars(_CONFIG), "provenance": {"epoch": 1}}
# Events of Python's audit hook that must not be seen while a file is loaded.
_DANGEROUS = (
    "exec", "compile", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "subprocess.Popen", "socket.__new__", "socket.connect", "os.remove", "os.rename", "os.mkdir",
    "os.rmdir", "shutil.", "ctypes.dlopen", "os.chmod", "os.symlink", "os.link", "os.truncate",
)  # fmt: skip


def good_file(path: Path) -> bytes:
    """A small model, saved as the product does."""
    model = Transformer(_CONFIG).initialize(0)
    container.save(path, model.state_dict(), _METADATA)
    return path.read_bytes()


class _Gadget:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def _gadgets(marker: str) -> dict:
    """Objects that would write ``marker`` or do worse when they are unpickled."""
    code = f"open({marker!r}, 'w')"
    return {
        "system": _Gadget(os.system, f"touch {marker}"),
        "eval": _Gadget(eval, code),
        "exec": _Gadget(exec, code),
        "open": _Gadget(open, marker, "w"),
        "mkdir": _Gadget(os.mkdir, marker),
        "popen": _Gadget(subprocess.Popen, ["touch", marker]),
        "loads": _Gadget(pickle.loads, pickle.dumps(_Gadget(os.mkdir, marker))),
        "getattr": _Gadget(getattr, os.path.join, "__globals__"),
        "import": _Gadget(__import__, "antigravity"),
        "torch.load": _Gadget(torch.load, marker),
        "hub": _Gadget(torch.hub.load, "nobody/nothing", "model"),
        "save": _Gadget(torch.save, [1], marker),
        "kill": _Gadget(os.kill, 1, 0),
        "code": _Gadget(compile, code, "x", "exec"),
        "set_num_threads": _Gadget(torch.set_num_threads, 64),
    }


def _content(**parts) -> dict:
    """What ``container.save`` writes, with ``parts`` replaced and the right hash if it exists."""
    tensors = Transformer(_CONFIG).initialize(0).state_dict()
    content = {"format": container.FORMAT, "version": container.FORMAT_VERSION}
    content |= {"metadata": json.dumps(_METADATA), "tensors": dict(tensors), **parts}
    if "sha256" not in content:
        with contextlib.suppress(Exception):
            content["sha256"] = container._digest(content["tensors"], content["metadata"])
    return content


def _saved(value, **options) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def _rewritten(data: bytes, compression=zipfile.ZIP_STORED, change=list) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in change(entries):
            archive.writestr(name, content)
    return stream.getvalue()


def _code(data: bytes, opcodes: bytes) -> bytes:
    """The file with ``opcodes`` as its pickle."""
    return _rewritten(
        data,
        change=lambda entries: [
            (name, opcodes if name.endswith("data.pkl") else content) for name, content in entries
        ],
    )


def hostile_files(good: bytes, marker: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of at least 300 files, none of which is a healthy model."""
    yield from _pickles(good, marker)
    yield from _structures(good)
    yield from _values()
    yield from _metadata()
    generator = random.Random(0)
    for number, place in enumerate(range(0, len(good), max(1, len(good) // 40))):
        yield f"cut_{number}", good[:place]
    for number in range(40):
        place, bit = generator.randrange(len(good)), 1 << generator.randrange(8)
        yield f"flipped_{number}", good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :]


def _pickles(good: bytes, marker: str) -> Iterator[tuple[str, bytes]]:
    for name, gadget in _gadgets(marker).items():
        yield f"gadget_{name}_whole", _saved(gadget)
        yield f"gadget_{name}_old_format", _saved(gadget, _use_new_zipfile_serialization=False)
        yield f"gadget_{name}_plain", pickle.dumps(gadget)
        for protocol in (0, 2, 4):
            yield f"gadget_{name}_{protocol}", _code(good, pickle.dumps(gadget, protocol))
        for part in ("format", "version", "metadata", "tensors", "sha256", "more"):
            yield f"gadget_{name}_{part}", _saved(_content(**{part: gadget}))
        tensors = {"output.weight": gadget}
        yield f"gadget_{name}_tensor", _saved(_content(tensors=tensors))
    opcodes = {
        "memo_bomb": b"\x80\x02]" + b"q\x00" + b"h\x00h\x00e" * 1000 + b".",
        "dup_bomb": b"\x80\x02(" + b"2" * 10**6 + b"t.",
        "long": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "string": b"\x80\x02T\xff\xff\xff\x7fx.",
        "bytes8": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
        "unicode8": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
        "frame": b"\x80\x04\x95" + b"\xff" * 8 + b".",
        "put": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "nested_lists": b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
        "nested_tuples": b"\x80\x02" + b")" + b"\x85" * 10**5 + b".",
        "stop": b".",
        "nothing": b"",
        "persistent": b"\x80\x02U\x01xQ.",
        "extension": b"\x80\x02\x82\x01.",
        "global": b"\x80\x02cposix\nsystem\n.",
        "stack_global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
        "instance": b"(S'touch x'\nios\nsystem\n.",
        "object": b"(cos\nsystem\nS'touch x'\no.",
        "dotted": b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93.",
        "rebuild": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR.",
        "storage": b"\x80\x02ctorch\nFloatStorage\n(J\xff\xff\xff\x7ftR.",
        "bytearray": b"\x80\x02cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.",
        "ordered": b"\x80\x02ccollections\nOrderedDict\n)RN}b.",
        "size": b"\x80\x02ctorch\nSize\n((J\xff\xff\xff\x7fJ\xff\xff\xff\x7fttR.",
    }
    for name, code in opcodes.items():
        yield f"opcodes_{name}", _code(good, code)


def _structures(good: bytes) -> Iterator[tuple[str, bytes]]:
    methods = {
        "deflate": zipfile.ZIP_DEFLATED,
        "bzip2": zipfile.ZIP_BZIP2,
        "lzma": zipfile.ZIP_LZMA,
    }
    for name, method in methods.items():
        yield f"compressed_{name}", _rewritten(good, method)
        bomb = _rewritten(good, method, lambda entries: [*entries, ("file/bomb", bytes(2**24))])
        yield f"bomb_{name}", bomb
    yield "trailing", good + b"x" * 1000
    yield "leading", b"x" * 1000 + good
    yield "twice", good + good
    yield "comment", _commented(good)
    yield "no_data", _rewritten(good, change=lambda entries: entries[:1])
    yield "no_pickle", _rewritten(good, change=lambda entries: entries[1:])
    yield "pickle_twice", _rewritten(good, change=lambda entries: [entries[0], *entries])
    for suffix in ("../../etc/x", "/etc/x", "..", "file/data/../../x", "file/\0x", "c:\\x"):
        name = f"path_{suffix.encode().hex()}"
        yield name, _rewritten(good, change=lambda entries, s=suffix: [*entries, (s, b"x")])
        renamed = lambda entries, s=suffix: [(s, data) for _, data in entries]  # noqa: E731
        yield f"{name}_all", _rewritten(good, change=renamed)
    overlapping = io.BytesIO()
    with zipfile.ZipFile(overlapping, "w") as archive:
        archive.writestr("file/data.pkl", bytes(100_000))
        archive.filelist *= 2000
    yield "overlapping", overlapping.getvalue()
    start = good.rindex(b"PK\5\6")
    for place, form, values in (
        (8, "<H", (0, 1, 0xFFFF)), (10, "<H", (0, 1, 0xFFFF)),
        (12, "<I", (0, 1, 2**31, 2**32 - 1)), (16, "<I", (0, 1, 2**31, 2**32 - 1)),
        (20, "<H", (1, 0xFFFF)),
    ):  # fmt: skip
        for value in values:
            data = bytearray(good)
            struct.pack_into(form, data, start + place, value)
            yield f"directory_{place}_{value}", bytes(data)
    for name, data in {
        "empty": b"", "byte": b"x", "zeros": bytes(10_000), "text": b"text\n" * 1000,
        "elf": b"\x7fELF" + bytes(1000), "end_only": b"PK\5\6" + bytes(18),
        "local_only": b"PK\3\4" + bytes(100), "json": b'{"format": "h2q-evo"}',
    }.items():  # fmt: skip
        yield f"no_archive_{name}", data


def _commented(good: bytes) -> bytes:
    stream = io.BytesIO(good)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = b"x" * 100
    return stream.getvalue()


def _values() -> Iterator[tuple[str, bytes]]:
    tensors = Transformer(_CONFIG).initialize(0).state_dict()
    weight = tensors["output.weight"]
    poisoned = {
        f"not_finite_{name}_{value}": {**tensors, name: _with(tensors[name], value)}
        for name, value in itertools.product(
            ("output.weight", "embedding.weight", list(tensors)[-1]),
            (float("nan"), float("inf"), float("-inf")),
        )
        if name in tensors
    }
    strange = {
        "double": weight.double(), "half": weight.half(), "bfloat16": weight.bfloat16(),
        "int": weight.int(), "bool": weight.bool(), "complex": weight.to(torch.complex64),
        "sparse": weight.to_sparse(), "meta": weight.to("meta"), "turned": weight.t(),
        "expanded": torch.ones(1).expand(10**12), "wide": torch.ones(1, 1).expand(10**6, 10**6),
        "number": 1.0, "none": None, "list": [1.0], "text": "x", "empty": torch.zeros(0),
        "scalar": torch.tensor(1.0), "strided": torch.ones(10**4)[::100],
        "storage": weight.untyped_storage(), "parameter": torch.nn.Parameter(weight),
    }  # fmt: skip
    for name, value in strange.items():
        poisoned[f"tensor_{name}"] = {**tensors, "output.weight": value}
    for name in tensors:
        poisoned[f"without_{name}"] = {k: v for k, v in tensors.items() if k != name}
    poisoned |= {
        "none_at_all": {}, "extra": {**tensors, "x": weight}, "number_as_name": {1: weight},
        "surrogate": {**tensors, "\ud800": weight}, "escape": {**tensors, "\x1b[2J": weight},
        "many": {f"t{i}": torch.ones(1) for i in range(3000)},
    }  # fmt: skip
    for name, value in poisoned.items():
        with contextlib.suppress(Exception):  # torch.save itself refuses some
            yield f"values_{name}", _saved(_content(tensors=value))


def _with(tensor, value: float):
    changed = tensor.clone()
    changed.view(-1)[-1] = value
    return changed


def _metadata() -> Iterator[tuple[str, bytes]]:
    texts = {
        "list": "[]", "number": "1", "nan": '{"a": NaN}', "overflow": '{"a": 1e999}',
        "deep": '{"a":' * 100_000, "deep_list": "[" * 100_000 + "]" * 100_000, "cut": '{"a": 1',
        "giant": '{"a": ' + "9" * 10_000 + "}", "nothing": "", "surrogate": '{"a": "\ud800"}',
        "kinds": '{"kind": []}', "twice": '{"kind": "model", "kind": "checkpoint"}',
    }  # fmt: skip
    changes = {
        name: {**_METADATA, "model": {**vars(_CONFIG), name: value}}
        for name, value in {
            "embed_dim": 10**400, "n_heads": 0, "n_layers": -1, "context_length": 10**12,
            "vocab_size": 257, "dropout": "0.1", "../../x": 1, "rotary_base": True,
            "feedforward_dim": 65536, "__class__": "x", "\x1b]0;x\x07": 1,
        }.items()
    }  # fmt: skip
    changes |= {
        "kind_none": {**_METADATA, "kind": None}, "kind_list": {**_METADATA, "kind": ["model"]},
        "kind_path": {**_METADATA, "kind": "../../etc/passwd"},
        "no_model": {"kind": "model", "provenance": {}}, "no_provenance": {**_METADATA, "provenance": 1},
        "model_list": {**_METADATA, "model": []}, "model_none": {**_METADATA, "model": None},
        "checkpoint_bare": {"kind": "checkpoint"},
    }  # fmt: skip
    position = {
        "epoch": 0, "batch": 0, "step": 0, "progress": 0.0, "loss_sum": 0.0, "loss_bytes": 0,
        "seconds": 0.0, "step_seconds": [], "epoch_seconds": 0.0, "log": [],
    }  # fmt: skip
    base = {
        "kind": "checkpoint", "model": vars(_CONFIG), "training": {}, "corpus": "x",
        "environment": {},
    }  # fmt: skip
    wrong = ["1", None, [], {}, True, -1, 10**30, 0.5, "../../x"]
    for name, value in itertools.product(position, wrong):
        if type(value) is type(position[name]) and value in ([], 0.5):
            continue  # a valid position
        if name in ("progress", "loss_sum", "seconds", "epoch_seconds") and value == 0.5:
            continue
        changes[f"position_{name}_{value}"[:60]] = {**base, "position": {**position, name: value}}
    for name in ("training", "environment", "model", "position"):
        for value in ("x", None, [1], 7):
            changes[f"checkpoint_{name}_{value}"] = {**base, "position": position, name: value}
    texts |= {name: json.dumps(value) for name, value in changes.items()}
    for number, (_, text) in enumerate(texts.items()):
        yield f"metadata_{number}", _saved(_content(metadata=text))


def mutations(good: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """``count`` files that differ a little from ``good``.

    In half of them the archive itself is valid, and only the content of an entry is changed.
    """
    generator = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    for number in range(count):
        if number % 2:
            yield f"mutation_{number}", _mutated(good, generator)
            continue
        chosen = generator.choice(["data.pkl", "data.pkl", ""])
        places = [i for i, (name, _) in enumerate(entries) if name.endswith(chosen)]
        place = generator.choice(places)
        changed = list(entries)
        changed[place] = (entries[place][0], _mutated(entries[place][1], generator))
        yield f"mutation_{number}", _rewritten(good, change=lambda _, new=changed: new)


def _mutated(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.choice([1, 1, 1, 2, 5, 20])):
        place = generator.randrange(len(changed) + 1)
        length = generator.choice([1, 1, 2, 4, 8, 64, 1000])
        other = generator.randrange(len(changed) + 1)
        kind = generator.randrange(6)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << generator.randrange(8)
        elif kind == 1:
            changed[place : place + length] = generator.randbytes(length)
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = generator.randbytes(length)
        elif kind == 4:
            changed[place : place + length] = changed[other : other + length]
        else:
            changed[place : place + length] = generator.choice([b"\0", b"\xff"]) * length
    return bytes(changed)


class Guard:
    """A process that loads files one by one under limits; a context that ends it."""

    def __enter__(self):
        self._start()
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.hostile", "--guard"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the guard did not start")

    def load(self, path: Path) -> dict:
        """Loads ``path``. ``outcome`` is ``refused``, ``loaded`` or what is wrong; ``peak_mb`` is
        the memory it took."""
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        if select.select([self._process.stdout], [], [], SECONDS)[0]:
            if line := self._process.stdout.readline():
                return json.loads(line)
            outcome = f"the process died: {self._process.wait()}"
        else:
            outcome = f"took more than {SECONDS} s"
        self._process.kill()
        self._process.wait()
        self._start()
        return {"outcome": outcome, "peak_mb": 0.0}


def _guard() -> None:
    """Loads each file named on stdin and answers with a line."""
    from h2q.checkpoint.model_file import load_model
    from h2q.checkpoint.saved_run import load_saved_run
    from h2q.system.console import Console
    from h2q.system.errors import ModelFileError

    class Deaf(Console):
        def warn(self, key, **values):
            pass

    seen: list[str] = []
    watching = False

    def watch(event, arguments):
        if watching and event.startswith(_DANGEROUS):
            seen.append(f"{event} {str(arguments)[:200]}")

    sys.addaudithook(watch)
    _warm(load_model)
    limit = _memory("VmSize") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        seen.clear()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _memory("VmRSS")
        outcomes = set()
        for load in (load_model, lambda path: load_saved_run(path.parent.parent, Deaf())):
            watching = True
            try:
                found = load(path)
                is_model = isinstance(found, tuple)
                tensors = found[0].state_dict() if is_model else found.tensors.for_file()
                finite = all(tensor.isfinite().all() for tensor in tensors.values())
                outcomes.add("loaded" if finite else "loaded what is not finite")
            except ModelFileError as error:
                watching = False
                text = str(error)
                outcomes.add("refused" if "\n" not in text else f"two lines: {text[:200]!r}")
            except BaseException as error:
                outcomes.add(f"{type(error).__name__}: {str(error)[:200]}")
            watching = False
        bad = outcomes - {"loaded", "refused"}
        outcome = "; ".join(sorted(bad) + seen) or ("loaded" if "loaded" in outcomes else "refused")
        peak_mb = (_memory("VmHWM") - before) / 2**20
        print(json.dumps({"outcome": outcome, "peak_mb": peak_mb}), file=answers, flush=True)


def _warm(load) -> None:
    import tempfile

    # Imports that happen at the first use: importing runs code, though not code of the file.
    "\u00e9".encode("cp437")
    import torch._dynamo
    import torch._subclasses.schema_check_mode
    import torch.nested._internal.ops
    import torch.nested._internal.sdpa  # noqa: F401

    with tempfile.TemporaryDirectory() as directory:
        good_file(Path(directory) / "good.pt")
        load(Path(directory) / "good.pt")


def _memory(name: str) -> int:
    """Bytes, from /proc/self/status."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if name in line))


# This damage may hit bytes without a meaning; then the hash proves that the content is the same.
MAY_BE_LOADED = ("directory_", "flipped_", "pickle_twice", "mutation_")


def judge(files, directory: Path) -> Iterator[tuple[str, str]]:
    """Loads each (name, bytes) under guard; yields its name and what is wrong."""
    path = directory / "training_checkpoints" / "step_000000001.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with Guard() as guard:
        for name, data in files:
            path.write_bytes(data)
            answer = guard.load(path)
            fine = ("refused", "loaded") if name.startswith(MAY_BE_LOADED) else ("refused",)
            problem = "" if answer["outcome"] in fine else answer["outcome"]
            if answer["peak_mb"] * 2**20 > MEMORY_BYTES:
                problem = f"took {answer['peak_mb']:.0f} MB"
            if not problem and path.read_bytes() != data:
                problem = "the file was changed"
            yield name, problem


def main() -> None:
    if sys.argv[1:] == ["--guard"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _guard()
        return
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    good = good_file(directory / "good.pt")
    count = 0
    for name, data in hostile_files(good, str(directory / "it_ran")):
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
        (directory / f"{count:04}_{safe}.pt").write_bytes(data)
        count += 1
    print(f"{count} files in {directory}")


if __name__ == "__main__":
    main()
