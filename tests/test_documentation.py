"""What the two READMEs say about commands and flags is what the program has."""

import json
import re

import pytest

from h2q.cli.arguments import chat_parser, train_parser
from h2q.datasets.knowledge_base import load_knowledge_base
from tests.conftest import REPOSITORY

READMES = ["README.md", "README.en.md"]


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def commands(text):
    return [
        line
        for block in re.findall(r"```bash\n(.*?)```", text, re.S)
        for line in block.splitlines()
    ]


@pytest.mark.parametrize("name", READMES)
def test_every_flag_is_in_the_tables_and_every_flag_there_exists(name):
    documented = set(re.findall(r"^\| `(--\w+)`", read(name), re.M))
    flags = set()
    for parser in (train_parser(), chat_parser()):
        flags |= {flag for flag in parser._option_string_actions if flag.startswith("--")}
    assert documented == flags - {"--help", "--version"}


@pytest.mark.parametrize("name", READMES)
def test_commands_use_flags_that_exist(name):
    parsers = {
        "local_training_system.py": train_parser(),
        "local_inference_demo.py": chat_parser(),
    }
    used = 0
    for line in commands(read(name)):
        for script, parser in parsers.items():
            if script in line:
                parser.parse_args(line.split(script)[1].split())
                used += 1
    assert used >= 5


@pytest.mark.parametrize("name", READMES)
def test_the_first_two_commands_train_and_test(name):
    first, second = commands(read(name))[:2]
    assert first.endswith("local_training_system.py --mode train --epochs 5")
    assert "python3 -m venv .venv && .venv/bin/pip install" in first
    install, _, run_tests = second.rpartition(" && ")
    lines = read(".ci/run").splitlines()
    assert install in lines
    assert f"$offline {run_tests}" in lines


def test_both_languages_have_the_same_sections_and_commands():
    zh, en = map(read, READMES)
    assert len(re.findall(r"^#+ ", zh, re.M)) == len(re.findall(r"^#+ ", en, re.M))
    code = [[line for line in commands(text) if not line.startswith("#")] for text in (zh, en)]
    assert code[0] == code[1]


@pytest.mark.parametrize("name", READMES)
def test_the_example_fact_is_one(name, tmp_path):
    [line] = re.findall(r"```json\n(.*)\n```", read(name))
    (tmp_path / "facts.jsonl").write_text(line, encoding="utf-8")
    [fact] = load_knowledge_base(tmp_path).facts()
    assert fact.subject == json.loads(line)["subject"]
