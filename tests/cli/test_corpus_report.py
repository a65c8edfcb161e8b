"""What the program says about a person's text before training on it."""

import re
from pathlib import Path

import pytest

from h2q.cli.corpus_report import LINE_COLUMNS, duplicates, report_text, sample_lines
from h2q.datasets.corpus import open_corpus
from h2q.system.console import Console
from tests.conftest import CHINESE, make_text, text_of


@pytest.fixture
def report(folder, cache, capsys):
    """Opens the text in ``folder`` and returns what is said of it: (stdout, stderr)."""

    def make(every_file=False, **options):
        corpus = open_corpus(folder, cache, context_length=64, **options)
        report_text(corpus, folder, Console(), every_file)
        return capsys.readouterr()

    return make


def test_encodings_are_counted_and_the_others_named(folder, report):
    """features: ``UTF-8 31 · GB18030 12 · 跳过 1（原因）``"""
    for number in range(3):
        (folder / f"{number}.txt").write_text(make_text(2000, number), encoding="utf-8")
    for number in range(12):
        (folder / f"g{number:02}.txt").write_bytes((CHINESE * 9 + str(number)).encode("gb18030"))
    (folder / "nothing.txt").touch()
    (folder / "binary.txt").write_bytes(bytes(range(256)))
    out, err = report()
    assert "GB18030 12 · UTF-8 3 · 跳过 2（" in out
    assert "不是可识别编码的文本" in out.splitlines()[0]
    assert out.count("   GB18030  g") == 10
    assert "… 还有 2 个" in out
    assert "UTF-8  0.txt" not in out
    assert "跳过 nothing.txt：空文件" in err
    out, _ = report(every_file=True)
    assert out.count("   GB18030  g") == 12
    assert "   UTF-8  0.txt（" in out


def test_characters_and_lines_are_counted(folder, report):
    first, second = "甲乙丙丁\n" * 300, text_of(3000).decode()
    (folder / "a.txt").write_bytes(first.encode("gb18030") + b"")
    (folder / "b.txt").write_text(second)
    out, _ = report(encoding="gb18030")
    lines = first.count("\n") + second.count("\n")
    assert f"   {len(first + second):,} 个字符 | {lines:,} 行 | 训练 " in out


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_each_part_of_the_text_is_accounted_for(folder, report, cache, fraction):
    (folder / "a.txt").write_bytes(text_of(50_000))
    out, _ = report(validation_fraction=fraction)
    sizes = [int(size.replace(",", "")) for size in re.findall(r"([\d,]+) 字节", out)]
    assert sum(sizes) == 50_000
    assert len(sizes) == (3 if fraction else 2) and ("验证" in out) == bool(fraction)


def test_three_lines_are_of_the_text_and_whole(folder, cache):
    text = make_text(30_000)
    (folder / "a.txt").write_text(text, encoding="utf-8")
    lines = sample_lines(open_corpus(folder, cache, context_length=64).train)
    assert len(lines) == 3
    for line in lines:
        assert line.removesuffix("…") in text


def test_lines_are_decoded_whatever_the_encoding(folder, cache):
    (folder / "a.txt").write_bytes((CHINESE * 200).encode("gb18030"))
    lines = sample_lines(open_corpus(folder, cache, context_length=64).train)
    assert lines == [CHINESE[: len(lines[0]) - 1] + "…"]


@pytest.mark.parametrize(("character", "wide"), [("中", 2), ("x", 1)])
def test_a_long_line_is_cut_to_the_width_of_a_screen(folder, cache, character, wide):
    (folder / "a.txt").write_text((character * 400 + "\n") * 20, encoding="utf-8")
    (line,) = sample_lines(open_corpus(folder, cache, context_length=64).train)
    assert line == character * (LINE_COLUMNS // wide - 1) + "…"


def test_text_without_line_ends_and_text_of_short_lines(folder, cache):
    (folder / "a.txt").write_text("abc def " * 1000)
    assert len(sample_lines(open_corpus(folder, cache, context_length=64).train)) >= 1
    (folder / "a.txt").write_text("长" * 3000 + "\n" + "短" * 3000, encoding="utf-8")
    assert len(sample_lines(open_corpus(folder, cache, context_length=64).train)) == 2
    (folder / "a.txt").write_text("ab\n" * 1000)
    assert sample_lines(open_corpus(folder, cache, context_length=64).train) == []


def test_exact_duplicates_are_reported(folder, report, cache):
    (folder / "deep").mkdir()
    text = make_text(3000)
    (folder / "a.txt").write_text(text, encoding="utf-8")
    (folder / "deep" / "copy.txt").write_text(text, encoding="utf-8")
    (folder / "gb.txt").write_bytes((CHINESE * 30).encode("gb18030"))
    (folder / "utf.txt").write_text(CHINESE * 30, encoding="utf-8")
    (folder / "other.txt").write_text(text + "x", encoding="utf-8")
    _, err = report()
    assert "内容完全相同：a.txt = deep/copy.txt；" in err
    assert "内容完全相同：gb.txt = utf.txt；" in err
    assert len(duplicates(open_corpus(folder, cache, context_length=64).scan.files)) == 2


def test_held_out_text_that_is_trained_on_is_reported(folder, report, tmp_path):
    text = make_text(3000)
    (folder / "a.txt").write_text(text, encoding="utf-8")
    (tmp_path / "eval.txt").write_text(text, encoding="utf-8")
    assert "评估损失会偏低" in report(eval_path=tmp_path / "eval.txt")[1]
    (tmp_path / "eval.txt").write_text(make_text(3000, 1), encoding="utf-8")
    assert report(eval_path=tmp_path / "eval.txt")[1] == ""


def test_formats_are_counted(folder, report):
    (folder / "a.md").write_text(make_text(3000), encoding="utf-8")
    (folder / "b.html").write_bytes((CHINESE * 50).encode("gb18030"))
    (folder / "c.html").write_text(make_text(2000, 3), encoding="utf-8")
    (folder / "d.md").write_text(make_text(2000, 4), encoding="utf-8-sig")
    (folder / "e.txt").write_text(make_text(2000, 5), encoding="utf-8")
    out, err = report(include=["*"])
    assert " | MD 2 · HTML (GB18030) 1 · HTML 1 · UTF-8 1\n" in out and err == ""
    assert "   HTML (GB18030)  b.html（" in out and "c.html" not in out
    assert "   MD  d.md（" in report(include=["*"], every_file=True)[0]


def test_what_is_not_read_is_named_or_counted(folder, report, tmp_path):
    (folder / "a.txt").write_text(make_text(3000), encoding="utf-8")
    assert report()[1] == ""
    (folder / "sub").mkdir()
    for name in ("b.md", "sub/c.docx", "photo.JPG", ".DS_Store"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    assert report()[1].splitlines() == [
        "⏭️ 1 个未读：.git（隐藏的或自动生成的目录）",
        "⏭️ 1 个未读：.DS_Store（隐藏文件）",
        f"⏭️ 2 个未读：b.md, {Path('sub', 'c.docx')}（有 .txt 时只读 .txt；用 --include '*' 全部读入）",
        "⏭️ 1 个未读：photo.JPG（不认识的格式；用 --include 指明才读）",
    ]
    for number in range(40):
        (folder / f"{number}.md").touch()
    assert "⏭️ 42 个未读：41 .md, c.docx（有" in report()[1]
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "e.txt").write_text(make_text(3000, 1), encoding="utf-8")
    (tmp_path / "held" / "f.rst").touch()
    assert "⏭️ 1 个未读：f.rst（" in report(eval_path=tmp_path / "held")[1]


def test_many_kinds_of_files_make_a_short_line(folder, report):
    (folder / "a.txt").write_text(make_text(3000), encoding="utf-8")
    for number in range(9):
        (folder / f"x.k{number}").touch()
    [line] = report()[1].splitlines()
    assert "x.k0, x.k1, x.k2, x.k3, x.k4, x.k5, …（" in line


def test_many_files_that_cannot_be_read_are_counted_and_named_in_a_dry_run(folder, report):
    (folder / "a.txt").write_text(make_text(3000), encoding="utf-8")
    for number in range(10):
        (folder / f"e{number}.txt").touch()
    assert report()[1].count("⏭️ 跳过 e") == 10
    (folder / "e10.txt").touch()
    assert report()[1] == "⏭️ 11 个未读：11 .txt（空文件）\n"
    assert report(every_file=True)[1].count("⏭️ 跳过 e") == 11
