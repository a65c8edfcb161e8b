"""Hostile text: random and damaged bytes in all encodings, and a check that they are read right."""

import codecs
import random
from collections.abc import Iterator
from pathlib import Path

from h2q.datasets.corpus import open_corpus
from h2q.datasets.text_files import scan
from h2q.system.errors import CorpusError

CODECS = (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "gbk", "big5",
    "shift_jis", "euc-kr", "latin-1", "cp1251", "hz", "utf-7",
)  # fmt: skip
_CHARACTERS = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学"
    "abcdefghijklmnopqrstuvwxyz ABC .,;\n\r\n\t0123456789 éßñ яжю ひらが 한국 🚀𠀀\u3000。，：“”"
)


def hostile_texts(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of ``count`` files."""
    generator = random.Random(seed)
    for number in range(count):
        size = generator.choice([0, 1, 2, 3, 5, 50, 500, 5000])
        if generator.random() < 0.2:
            yield f"random_{number}", generator.randbytes(size)
            continue
        codec = generator.choice(CODECS)
        alphabet = _CHARACTERS if generator.random() < 0.5 else _CHARACTERS[:48]
        text = "".join(generator.choices(alphabet, k=size))
        data = bytearray(text.encode(codec, "ignore"))
        kind = generator.choice(["whole", "cut", "changed", "inserted", "marked", "nul", "joined"])
        place = generator.randrange(len(data) + 1)
        if kind == "cut":
            del data[place:]
        elif kind == "changed" and place < len(data):
            data[place] = generator.randrange(256)
        elif kind == "inserted":
            data[place:place] = generator.randbytes(generator.randint(1, 4))
        elif kind == "marked":
            marks = [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE]
            data[:0] = generator.choice(marks)
        elif kind == "nul":
            data[place:place] = b"\0"
        elif kind == "joined":
            data += text.encode(generator.choice(CODECS), "ignore")
        yield f"{codec}_{kind}_{number}", bytes(data)


def judge(texts, directory: Path) -> Iterator[tuple[str, str]]:
    """Reads each (name, bytes) as the corpus does; yields its name and what is wrong.

    A file must be skipped with a reason, or the bytes to train on must be exactly its text.
    """
    folder, cache = directory / "text", directory / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "file.txt"
    for name, data in texts:
        path.write_bytes(data)
        try:
            problem = _read(folder, cache, data)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        for copy in cache.glob("*"):
            if copy.name.startswith("."):
                problem = problem or f"left {copy.name}"
            copy.unlink()
        yield name, problem


def _read(folder: Path, cache: Path, data: bytes) -> str:
    found = scan(folder, cache)
    if found.skipped:
        known = {"skip.empty", "skip.not_text"}
        return "" if found.skipped[0][1] in known and not found.files else str(found.skipped)
    [file] = found.files
    text = data.decode(file.encoding)
    if file.encoding not in ("utf-8-sig", "utf-16", "utf-32"):  # they drop the mark themselves
        text = text.removeprefix("\ufeff")
    expected = text.encode("utf-8")
    if file.encoding == "utf-8" and expected != data:
        return "UTF-8 is not used as it lies"
    if file.stored.read_bytes()[file.offset : file.offset + file.size] != expected:
        return "the bytes are others"
    try:
        corpus = open_corpus(folder, cache, context_length=16)
    except CorpusError as error:
        return "" if error.key == "corpus.short" else str(error)
    streams = [corpus.train.read(0, len(corpus.train)), corpus.heldout.read(0, len(corpus.heldout))]
    parts = sorted(b"".join(streams).replace(b"\xff", b""))
    return "" if parts == sorted(expected) else "the corpus holds other bytes"
