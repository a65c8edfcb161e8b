"""The container of a file: whole, damaged, hostile, foreign."""

import contextlib
import errno
import io
import os
import pickle
import struct
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from h2q.checkpoint import container
from h2q.checkpoint.container import FORMAT, load, save
from h2q.system.errors import ModelFileError, SaveFailed
from tests.checkpoint.conftest import assert_same, fail_with_eio, some_tensors

METADATA = {"kind": "test", "文": ["学 🚀", 1, 0.1, None, True], "deep": {"a": {"b": []}}}


def refusal(path) -> ModelFileError:
    """The error that loading ``path`` ends in: one line that names the file."""
    before = path.read_bytes()
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    return caught.value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pt"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> bytes:
    """The bytes of a file as ``save`` writes it."""
    path = tmp_path_factory.mktemp("healthy") / "file.pt"
    save(path, some_tensors(), METADATA)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A file that many examples of one test overwrite."""
    return tmp_path_factory.mktemp("scratch") / "file.pt"


# One file, healthy


def test_round_trip(path):
    save(path, some_tensors(), METADATA)
    tensors, metadata = load(path)
    assert_same(tensors, some_tensors())
    assert metadata == METADATA


def test_nothing_at_all_can_be_saved(path):
    save(path, {}, {})
    assert load(path) == ({}, {})


def test_views_and_parameters_are_saved_as_plain_tensors(path):
    weight = torch.arange(12.0).reshape(3, 4)
    parameter = torch.nn.Parameter(weight)
    save(path, {"turned": weight.t(), "parameter": parameter, "part": weight[:, 1]}, {})
    tensors, _ = load(path)
    assert_same(tensors, {"turned": weight.t(), "parameter": weight, "part": weight[:, 1]})
    assert not any(tensor.requires_grad for tensor in tensors.values())


def test_equal_contents_make_equal_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        save(tmp_path / name / "file.pt", some_tensors(), METADATA)
    assert (tmp_path / "a/file.pt").read_bytes() == (tmp_path / "b/file.pt").read_bytes()


@pytest.mark.parametrize("metadata", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}])
def test_metadata_that_is_not_json_is_not_saved(path, metadata):
    save(path, {}, {})
    before = path.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        save(path, {}, metadata)
    assert path.read_bytes() == before


# One file, damaged


def test_a_file_cut_at_any_length_is_refused(healthy, path):
    for length in range(0, len(healthy), 11):
        path.write_bytes(healthy[:length])
        refusal(path)


def assert_refused_or_the_same(path) -> bool:
    """True if it was refused. A byte without a meaning may change; then the content is the same."""
    try:
        tensors, metadata = load(path)
    except ModelFileError:
        return True
    assert_same(tensors, some_tensors())
    assert metadata == METADATA
    return False


@pytest.mark.parametrize("bits", [0xFF, 0x01, 0x80])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_flipped_byte_changes_what_is_loaded(healthy, path, bits):
    refused = 0
    positions = range(0, len(healthy), 7)
    for position in positions:
        damaged = bytearray(healthy)
        damaged[position] ^= bits
        path.write_bytes(damaged)
        refused += assert_refused_or_the_same(path)
    assert refused > len(positions) / 4  # the rest of such a small file is headers and alignment


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), min_size=1))
def test_no_damage_changes_what_is_loaded(healthy, scratch, damages):
    damaged = bytearray(healthy)
    for position, data in damages:
        position %= len(damaged)
        damaged[position : position + len(data)] = data
    scratch.write_bytes(damaged)
    assert_refused_or_the_same(scratch)


def test_any_change_of_a_number_is_refused(path):
    """Without the hash a flipped bit of a weight would load as another weight."""
    weight = torch.arange(1.0, 2001.0)
    save(path, {"weight": weight}, {})
    whole = path.read_bytes()
    first = whole.index(weight.numpy().tobytes())
    for position in range(first, first + 8000, 97):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert refusal(path).key == "model.damaged"


def test_a_file_in_which_a_block_was_never_written_is_refused(path):
    weight = torch.ones(5000)
    save(path, {"weight": weight}, {})
    whole = path.read_bytes()
    for position in range(0, len(whole) - 4096, 4096):
        path.write_bytes(whole[:position] + bytes(4096) + whole[position + 4096 :])
        refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"text " * 1000, bytes(5000), b"PK\x03\x04" + bytes(100), b"\x80\x02}q\x00."],
    ids=["empty", "byte", "text", "zeros", "zip begin", "pickle"],
)
def test_what_is_no_archive_is_refused(path, content):
    path.write_bytes(content)
    assert refusal(path).key == "model.damaged"


def test_damage_is_told_in_one_line_without_warnings_of_pytorch(healthy, path, recwarn):
    assert healthy.count(b"\x80\x02}") == 1  # the protocol of the pickle
    path.write_bytes(healthy.replace(b"\x80\x02}", b"\x80\x7f}"))
    assert_refused_or_the_same(path)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_missing_file_is_called_missing(path):
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert caught.value.key == "model.missing"


def test_a_directory_is_called_unreadable(tmp_path):
    with pytest.raises(ModelFileError) as caught:
        load(tmp_path)
    assert caught.value.key == "model.unreadable"
    assert os.strerror(errno.EISDIR) in str(caught.value)


# One file, hostile or foreign


def write_content(path, **parts) -> None:
    """A file as ``save`` would write it without its checks; its hash is right if possible."""
    content = {"format": FORMAT, "version": 1, "metadata": "{}", "tensors": {}, "sha256": ""}
    content |= parts
    if "sha256" not in parts:
        with contextlib.suppress(Exception):
            content["sha256"] = container._digest(content["tensors"], content["metadata"])
    torch.save(content, path)


class Gadget:
    """Runs ``function(*arguments)`` when a careless program unpickles it."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def gadgets(marker: str) -> dict:
    return {
        "os.mkdir": Gadget(os.mkdir, marker),
        "os.system": Gadget(os.system, f"mkdir {marker}"),
        "eval": Gadget(eval, f"__import__('os').mkdir({marker!r})"),
        "exec": Gadget(exec, f"import os; os.mkdir({marker!r})"),
    }


@pytest.mark.parametrize("name", ["os.mkdir", "os.system", "eval", "exec"])
@pytest.mark.parametrize("place", ["whole", "format", "tensors", "tensor", "metadata", "more"])
def test_code_in_a_file_is_not_run(path, tmp_path, name, place):
    marker = tmp_path / "it ran"
    gadget = gadgets(str(marker))[name]
    if place == "whole":
        torch.save(gadget, path)
    elif place == "tensor":
        write_content(path, tensors={"weight": gadget})
    else:
        write_content(path, **{place: gadget})
    assert refusal(path).key == "model.damaged"
    assert not marker.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_the_gadget_would_run_if_it_were_let(path, tmp_path, zipped):
    """Shows that the test above can fail, and that the older format is refused as well."""
    marker = tmp_path / "it ran"
    gadget = gadgets(str(marker))["os.mkdir"]
    torch.save(gadget, path, _use_new_zipfile_serialization=zipped)
    refusal(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_plain_pickle_is_not_run(path, tmp_path):
    path.write_bytes(pickle.dumps(gadgets(str(tmp_path / "it ran"))["os.mkdir"]))
    refusal(path)
    assert not (tmp_path / "it ran").exists()


def test_a_file_of_the_older_torch_format_is_refused(path):
    torch.save({"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        torch.ones(3),
        [1, 2],
        "text",
        {},
        {"weight": torch.ones(2)},
        {"state_dict": {"weight": torch.ones(2)}, "epoch": 3},
        {"format": "another", "version": 1, "metadata": "{}", "tensors": {}, "sha256": ""},
    ],
    ids=["tensor", "list", "text", "nothing", "state dict", "trainer state", "other format"],
)
def test_a_file_of_another_program_is_called_foreign(path, content):
    torch.save(content, path)
    assert refusal(path).key == "model.foreign"


@pytest.mark.parametrize(
    "version", [0, 2, "1", None, [1], torch.ones(2)], ids=lambda value: repr(value)[:12]
)
def test_another_version_is_refused(path, version):
    write_content(path, version=version)
    assert refusal(path).key == "model.version"


@pytest.mark.parametrize("missing", ["metadata", "tensors", "sha256"])
@pytest.mark.parametrize("value", [None, 7, [], torch.ones(2)], ids=lambda value: repr(value)[:12])
def test_a_file_without_one_of_its_parts_is_refused(path, missing, value):
    write_content(path, **{missing: value})
    assert refusal(path).key == "model.damaged"


STRANGE_TENSORS = {
    "surrogate name": lambda: {"\ud800": torch.ones(2)},
    "number as name": lambda: {1: torch.ones(2)},
    "no tensor": lambda: {"a": 1.0},
    "sparse": lambda: {"a": torch.eye(3).to_sparse()},
    "meta": lambda: {"a": torch.ones(3, device="meta")},
    "turned": lambda: {"a": torch.ones(2, 3).t()},
    "expanded": lambda: {"a": torch.ones(1).expand(10**12)},
    "conjugate": lambda: {"a": torch.ones(2, dtype=torch.complex64).conj()},
    "8-bit float": lambda: {"a": torch.ones(2).to(torch.float8_e4m3fn)},
    "complex nan": lambda: {"a": torch.tensor([complex(float("nan"), 0)])},
    "quantized": lambda: {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8)},
    "nested": lambda: {"a": torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])},
}


@pytest.mark.parametrize("name", STRANGE_TENSORS)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_no_run_saves_are_refused(path, name):
    write_content(path, tensors=STRANGE_TENSORS[name]())
    refusal(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite_are_refused_by_name(path, value, dtype):
    weight = torch.ones(50, dtype=dtype)
    weight[31] = value
    save(path, {"good": torch.ones(3), "bad.weight": weight}, {})
    error = refusal(path)
    assert error.key == "model.not_finite"
    assert "bad.weight" in str(error)


BAD_METADATA = {
    "list": "[]",
    "number": "1",
    "nan": '{"a": NaN}',
    "overflow": '{"a": 1e999}',
    "deep": '{"a":' * 100_000,
    "giant integer": '{"a": ' + "9" * 10_000 + "}",
    "cut": '{"a": 1',
    "nothing": "",
}


@pytest.mark.parametrize("name", BAD_METADATA)
def test_metadata_that_is_no_json_object_is_refused(path, name):
    write_content(path, metadata=BAD_METADATA[name])
    assert refusal(path).key == "model.damaged"


def test_metadata_of_too_many_bytes_is_refused(path, monkeypatch):
    save(path, {}, {"text": "x" * 100})
    monkeypatch.setattr(container, "METADATA_LIMIT_BYTES", 50)
    assert refusal(path).key == "model.damaged"


def rewritten(healthy: bytes, compression=zipfile.ZIP_STORED, change=lambda entries: entries):
    """The archive ``healthy`` written anew, its entries ``[(name, data), …]`` changed."""
    with zipfile.ZipFile(io.BytesIO(healthy)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in change(entries):
            archive.writestr(name, data)
    return stream.getvalue()


def test_the_archive_written_anew_still_loads(healthy, path):
    """Shows that the files of the next tests are refused for the reasons that the tests give."""
    path.write_bytes(rewritten(healthy))
    assert not assert_refused_or_the_same(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_entries_are_refused(healthy, path, compression):
    path.write_bytes(rewritten(healthy, compression))
    assert refusal(path).key == "model.damaged"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(healthy, path, monkeypatch):
    bomb = rewritten(
        healthy, zipfile.ZIP_DEFLATED, lambda entries: [*entries, ("file/bomb", bytes(2**24))]
    )
    assert len(bomb) < 2**16
    path.write_bytes(bomb)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert refusal(path).key == "model.damaged"


def test_entries_that_share_their_bytes_are_refused(path, monkeypatch):
    """The directory of the archive names one large entry many times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("file/data.pkl", bytes(100_000))
        archive.filelist *= 20
    path.write_bytes(stream.getvalue())
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert refusal(path).key == "model.damaged"


def test_a_shape_larger_than_its_bytes_is_refused(path):
    save(path, {"weight": torch.ones(10)}, {})

    def widen(entries):
        (pickled,) = (data for name, data in entries if name.endswith("data.pkl"))
        assert pickled.count(b"K\x0a") == 2  # a number of one byte: elements stored, and shape
        wide = pickled.replace(b"K\x0a", b"J" + (500_000_000).to_bytes(4, "little"))
        return [(name, wide if data is pickled else data) for name, data in entries]

    path.write_bytes(rewritten(path.read_bytes(), change=widen))
    assert refusal(path).key == "model.damaged"


@pytest.mark.parametrize("gap", [b"x", bytes(10_000)], ids=len)
@pytest.mark.parametrize("where", ["before", "after"])
def test_bytes_around_the_archive_are_refused(healthy, path, gap, where):
    path.write_bytes(gap + healthy if where == "before" else healthy + gap)
    assert refusal(path).key == "model.damaged"


def test_a_second_directory_cannot_hide_compressed_entries(path, monkeypatch):
    """Python finds an archive's directory from its end, PyTorch by the offset written there."""
    save(path, {"weight": torch.zeros(2**20)}, {})
    bomb = rewritten(path.read_bytes(), zipfile.ZIP_DEFLATED)
    body, end = bomb[:-22], bomb[-22:]  # the record at the end: 22 bytes
    size, start = struct.unpack("<II", end[12:20])
    harmless, position = bytearray(body[start : start + size]), 0
    while position < size:  # method, compressed size and size of each entry
        struct.pack_into("<H8xII", harmless, position + 10, 0, 1, 1)
        position += 46 + sum(struct.unpack_from("<HHH", harmless, position + 28))
    path.write_bytes(body + harmless + end)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    assert refusal(path).key == "model.damaged"


# Saving that fails


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_no_other(healthy, path, monkeypatch, function):
    path.write_bytes(healthy)
    monkeypatch.setattr(os, function, fail_with_eio)
    with pytest.raises(SaveFailed) as caught:
        save(path, some_tensors(1), {})
    assert str(path) in str(caught.value)
    assert path.read_bytes() == healthy
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_the_old_file_and_no_other(healthy, path):
    """A limit on the size of files stands in for a disk with no more room."""
    resource = pytest.importorskip("resource")
    path.write_bytes(healthy)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(SaveFailed) as caught:
            save(path, {"weight": torch.ones(100_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == healthy
    assert os.listdir(path.parent) == [path.name]
