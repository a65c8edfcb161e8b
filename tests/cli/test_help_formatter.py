"""Help that fits the screen in both languages."""

import pytest

from h2q.cli.arguments import chat_parser, train_parser
from h2q.cli.help_formatter import wrapped
from h2q.cli.main import train_main
from h2q.system.console import columns
from h2q.system.messages import catalogue
from h2q.system.messages.catalogue import MESSAGES


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_fits_the_screen(monkeypatch, language, width):
    monkeypatch.setenv("COLUMNS", str(width))
    catalogue.set_language(language)
    for parser in (train_parser(), chat_parser()):
        assert max(map(columns, parser.format_help().splitlines())) < width


@pytest.mark.parametrize("width", [24, 40])
def test_nothing_is_lost_and_no_line_begins_with_a_closing_mark(width):
    for sentences in MESSAGES.values():
        for text in sentences:
            lines = wrapped(text, width)
            assert "".join("".join(lines).split()) == "".join(text.split())
            assert not any(line[:1] in set("，。；：、！？）”》") for line in lines[1:])
            assert all(line == line.strip() for line in lines[1:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "x"], "❌ --epochs 的值 'x' 类型不对，应为 int。\n"),
        (["--lr", "fast"], "❌ --lr 的值 'fast' 类型不对，应为 float。\n"),
        (["--seed"], "❌ --seed 后面要有一个值；用 --help 查看用法。\n"),
    ],
)
def test_wrong_use_is_said_in_chinese(arguments, said, capsys):
    assert train_main(arguments) == 2
    assert capsys.readouterr().err == said


def test_help_in_chinese_is_chinese_throughout():
    text = chat_parser().format_help()
    for word in ("usage", "positional", "options", "show"):
        assert word not in text
