import json
import math
import random
import re

import pytest
import torch

from h2q.config import ModelConfig
from h2q.datasets.corpus import open_corpus
from h2q.evolution import junk
from h2q.evolution.junk import LeftOut, without_junk
from h2q.evolution.records import load
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import UnusableInput
from h2q.system.messages.catalogue import set_language
from h2q.system.paths import OutputPaths
from tests.conftest import make_text

HEX = "".join(random.Random(1).choices("0123456789abcdef", k=60_000))
LENGTH = 64


@pytest.fixture
def paths(tmp_path) -> OutputPaths:
    found = OutputPaths(tmp_path / "out")
    found.model.parent.mkdir(parents=True)
    found.model.write_bytes(b"a base")
    return found


@pytest.fixture
def base(tiny_model_config: ModelConfig) -> Transformer:
    torch.manual_seed(0)
    return Transformer(tiny_model_config)


def corpus_of(tmp_path, text: str):
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    return open_corpus(
        tmp_path / "t.txt", tmp_path / "cache", context_length=LENGTH, validation_fraction=0.1
    )


@pytest.fixture
def corpus(tmp_path):
    """Prose and noise by turns."""
    turns = range(5)
    texts = [make_text(12_000, n) + HEX[n * 12_000 : (n + 1) * 12_000] for n in turns]
    return corpus_of(tmp_path, "".join(texts))


def cleaned(corpus, base, paths, *, is_base=True, console=None):
    console = console or Console(silent=True)
    provenance = {} if is_base else {"evolution_cycle": 2}
    return without_junk(corpus, base, provenance, paths, torch.float32, console)


def whole(stream) -> bytes:
    return stream.read(0, len(stream))


def parts(corpus) -> list[bytes]:
    return [whole(getattr(corpus, name)) for name in ("train", "validation", "heldout")]


def test_junk_is_left_out_of_every_part(corpus, base, paths):
    found = cleaned(corpus, base, paths)
    for before, after in zip(parts(corpus), parts(found)):
        assert re.search(rb"[0-9a-f]{1000}", before)  # there is some in each
        assert not re.search(rb"[0-9a-f]{800}", after)
        joined = [line for line in after.split(b"\n") if line not in before]
        assert len(joined) <= 5  # where something was left out between
    left = sum(map(len, parts(corpus))) - sum(map(len, parts(found)))
    assert 0.85 * len(HEX) < left < len(HEX)
    assert found.fingerprint == corpus.fingerprint
    record = load(LeftOut, paths.left_out(corpus.fingerprint))
    assert record.bytes == left
    assert record.pieces == sum(
        len(part) for part in (record.train, record.validation, record.heldout)
    )
    assert len(record.sample) == 48 and record.sample[-30:] in HEX


def test_text_is_left_as_it_is(tmp_path, base, paths):
    text = corpus_of(tmp_path, make_text(60_000, 3))
    found = cleaned(text, base, paths)
    assert parts(found) == parts(text)
    assert load(LeftOut, paths.left_out(text.fingerprint)).pieces == 0


def test_what_the_base_has_learnt_is_no_junk(corpus, base, paths, monkeypatch):
    """Characters in no order to the test, but the base predicts them better than their frequencies."""
    own = 4.0
    for bits, left_out in ((0.9 * own, False), (1.1 * own, True)):
        losses = lambda model, rows, dtype, bits=bits: torch.full(  # noqa: E731
            (len(rows), max(map(len, rows)) - 1), bits * math.log(2)
        )
        monkeypatch.setattr(junk, "byte_losses", losses)
        paths.left_out(corpus.fingerprint).unlink(missing_ok=True)
        found = cleaned(corpus, base, paths)
        assert (len(found.train) < len(corpus.train)) == left_out


def test_a_few_verdicts_serve_for_very_many_units(corpus, base, paths, monkeypatch):
    asked = []

    def byte_losses(model, rows, dtype):
        asked.extend(rows)
        return torch.full((len(rows), max(map(len, rows)) - 1), 8.0)

    monkeypatch.setattr(junk, "byte_losses", byte_losses)
    monkeypatch.setattr(junk, "_MOST_ASKED", 3)
    found = cleaned(corpus, base, paths)
    assert len(asked) == 9
    assert all(2 <= len(row) <= LENGTH + 1 for row in asked)
    assert HEX[:400].encode() not in whole(found.train)


def test_a_part_of_which_nothing_would_remain_stays(tmp_path, base, paths):
    only = corpus_of(tmp_path, HEX)
    assert parts(cleaned(only, base, paths)) == parts(only)


def test_the_base_is_asked_once(corpus, base, paths, monkeypatch):
    """Not again for the same text, even by models that have evolved since; but a new base is."""
    first = parts(cleaned(corpus, base, paths))
    monkeypatch.setattr(junk, "byte_losses", lambda *_: pytest.fail("asked again"))
    assert parts(cleaned(corpus, base, paths)) == first
    paths.model.write_bytes(b"a champion")
    assert parts(cleaned(corpus, base, paths, is_base=False)) == first
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        cleaned(corpus, base, paths)


def test_each_text_has_a_record_of_its_own(tmp_path, corpus, base, paths):
    cleaned(corpus, base, paths)
    other = corpus_of(tmp_path, make_text(60_000, 1) + HEX)
    cleaned(other, base, paths)
    assert len(list(paths.evolution.glob("left_out_*.json"))) == 2


def test_a_damaged_record_is_named(corpus, base, paths):
    path = paths.left_out(corpus.fingerprint)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"base": 1}), encoding="utf-8")
    with pytest.raises(UnusableInput, match="left_out"):
        cleaned(corpus, base, paths)


@pytest.mark.parametrize(("lang", "words"), [("en", "Left out"), ("zh", "学习和评估时都不用")])
def test_a_person_is_told_how_much_and_sees_a_sample(corpus, base, paths, capsys, lang, words):
    set_language(lang)
    cleaned(corpus, base, paths, console=Console())
    said = capsys.readouterr().out
    record = load(LeftOut, paths.left_out(corpus.fingerprint))
    assert words in said and f"{record.bytes:,}" in said and record.sample in said


def test_nothing_is_said_where_nothing_is_left_out(tmp_path, base, paths, capsys):
    cleaned(corpus_of(tmp_path, make_text(60_000, 3)), base, paths, console=Console())
    assert capsys.readouterr().out == ""
