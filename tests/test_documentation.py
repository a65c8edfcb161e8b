"""What the READMEs and the pages of ``docs`` say about the program is what the program has.

The commands are run by ``test_readme_commands``; what the READMEs must hold is in ``test_readme_contract``.
"""

import ast
import json
import re
import unicodedata
from dataclasses import fields
from pathlib import Path

import pytest

from h2q.cli.arguments import chat_parser, train_parser
from h2q.config import EvolutionConfig
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.system.messages import catalogue
from tests import house
from tests.conftest import REPOSITORY

READMES = ["README.md", "README.en.md"]
PAGES = sorted(path.name for path in (REPOSITORY / "docs" / "zh").glob("*.md"))
PAIRS = [tuple(READMES), *((f"docs/zh/{name}", f"docs/en/{name}") for name in PAGES)]
DOCUMENTS = [name for pair in PAIRS for name in pair]
OPTIONS = ["docs/zh/options.md", "docs/en/options.md"]
KNOWLEDGE = ["docs/zh/knowledge.md", "docs/en/knowledge.md"]
ARCHITECTURE = ["docs/zh/architecture.md", "docs/en/architecture.md"]
TROUBLES = [*READMES, "docs/zh/troubleshooting.md", "docs/en/troubleshooting.md"]
OTHERS = ["CONTRIBUTING.md", "CHANGELOG.md"]
MOST_README_LINES = 220
PROSE_COLUMNS = 120  # a line of prose is shorter; a Chinese character takes two
MOST_PICTURE_BYTES = 150_000
each_document = pytest.mark.parametrize("name", DOCUMENTS)


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(text: str, kind: str = "") -> list[str]:
    """The contents of all fenced blocks of one kind (``bash``, ``toml`` …); a block without a kind
    shows output."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    return [block for name, block in found if name == kind]


def commands(text: str) -> list[str]:
    """The lines of all ``bash`` blocks, with their comments."""
    return [line for block in blocks(text, "bash") for line in block.splitlines()]


def without_code(text: str) -> str:
    """The text with its fenced blocks empty, so that line numbers stay."""
    return re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), text, flags=re.S)


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ .*", without_code(text), re.M)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes from the headings."""
    titles = [heading.lstrip("#").strip().lower() for heading in headings(text)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def columns(line: str) -> int:
    """How wide a line is on a screen."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def shape(text: str) -> dict:
    """What the two languages of a page share."""
    plain = without_code(text)
    return {
        "headings": [len(heading.partition(" ")[0]) for heading in headings(text)],
        "blocks": re.findall(r"^```(\w*)$", text, re.M),
        "commands": [line for line in commands(text) if not line.startswith("#")],
        "settings": [re.sub("#.*", "#", block) for block in blocks(text, "toml")],
        "facts": blocks(text, "json"),
        "rows": len(re.findall(r"^\|", plain, re.M)),
        "items": len(re.findall(r"^(?:- |\d+\. )", plain, re.M)),
        "links": [
            re.sub(r"docs/(zh|en)/|\.en\.md|#.*|\.\./(zh|en)/", "", target.replace(".zh.", ".en."))
            for target in re.findall(r"\]\(([^)]+)\)", plain)
            if "README" not in target and not target.startswith("http")
        ],
    }


def test_every_page_is_there_in_both_languages():
    english = {path.name for path in (REPOSITORY / "docs" / "en").glob("*.md")}
    assert english == set(PAGES)
    assert len(PAGES) >= 9


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
def test_both_languages_have_the_same_sections_code_tables_and_links(pair):
    chinese, english = map(read, pair)
    assert shape(chinese) == shape(english)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_flag_is_in_the_tables_and_every_flag_there_exists(name):
    documented = re.findall(r"^\| `(--\w+)`", read(name), re.M)
    flags = [
        flag
        for parser in (train_parser(), chat_parser())
        for flag in parser._option_string_actions
        if flag.startswith("--") and flag not in ("--help", "--version")
    ]
    assert sorted(documented) == sorted(flags)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_settings_of_evolution_and_their_defaults_are_in_a_table(name):
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| .* \| ([\d.]+) \|$", read(name), re.M))
    assert rows == {item.name: str(item.default) for item in fields(EvolutionConfig)}


@each_document
def test_flags_in_the_text_exist(name):
    """Except in the two commands that make the environment and run the tests."""
    flags = {"--help", "--resume"}
    for parser in (train_parser(), chat_parser()):
        flags |= set(parser._option_string_actions)
    lines = [line for line in read(name).splitlines() if ".venv/bin/pip" not in line]
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z_]+", "\n".join(lines)))
    assert used <= flags | {"--data", "--text"}  # --data-dir; a flag of a benchmark


@pytest.mark.parametrize("name", READMES)
def test_the_first_two_commands_train_and_test(name):
    first, second = commands(read(name))[:2]
    assert first.endswith("local_training_system.py --mode train --preset tiny --max_minutes 4")
    assert "python3 -m venv .venv && .venv/bin/pip install" in first
    install, _, run_tests = second.rpartition(" && ")
    lines = read(".ci/run").splitlines()
    assert install in lines
    assert any(line.startswith(f"$offline {run_tests}") for line in lines)


@pytest.mark.parametrize("name", READMES)
def test_a_readme_is_short(name):
    assert read(name).count("\n") <= MOST_README_LINES


@pytest.mark.parametrize("name", [*DOCUMENTS, *OTHERS])
def test_prose_fits_a_screen(name):
    """Rows of tables and lines of code may be longer."""
    wide = [
        line
        for line in without_code(read(name)).splitlines()
        if not line.startswith("|") and columns(line) >= PROSE_COLUMNS
    ]
    assert not wide


@pytest.mark.parametrize("name", [*DOCUMENTS, *OTHERS, "SECURITY.md"])
def test_links_lead_somewhere(name):
    """Files and headings; nothing leads out of the repository."""
    here = REPOSITORY / name
    for target in re.findall(r"\]\(([^)]+)\)", without_code(read(name))):
        path, _, anchor = target.partition("#")
        assert "://" not in target
        file = (here.parent / path).resolve() if path else here
        assert file.is_file() and file.is_relative_to(REPOSITORY), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


def test_every_page_can_be_reached_from_the_readme():
    for readme, language in zip(READMES, ("zh", "en")):
        linked = set(re.findall(rf"\]\(docs/{language}/(\w+\.md)\)", read(readme)))
        assert linked == set(PAGES)


def test_every_picture_is_shown_and_small():
    shown = set()
    for readme in READMES:
        shown |= set(re.findall(r"!\[[^]]+\]\(docs/images/([^)]+)\)", read(readme)))
    pictures = list((REPOSITORY / "docs" / "images").iterdir())
    assert {path.name for path in pictures} == shown
    assert all(path.stat().st_size < MOST_PICTURE_BYTES for path in pictures)


def test_the_documents_do_not_lead_out_of_the_repository():
    for name in [*DOCUMENTS, *OTHERS]:
        assert "../shared" not in read(name) and "/work/" not in read(name)


@pytest.mark.parametrize("name", KNOWLEDGE)
def test_the_example_fact_is_one(name, tmp_path):
    [line] = blocks(read(name), "json")
    (tmp_path / "facts.jsonl").write_text(line, encoding="utf-8")
    knowledge = load_knowledge_base(tmp_path)
    [fact] = knowledge.facts()
    assert fact.subject == json.loads(line)["subject"]


@each_document
def test_examples_in_python_are_python(name):
    """Their imports are of names that exist."""
    for block in blocks(read(name), "python"):
        if "import" not in block:
            continue  # the drawing of the model
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = __import__(node.module, fromlist=["*"])
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("name", ARCHITECTURE)
def test_the_table_of_floors_is_the_package(name):
    """Each folder with its floor, from the highest to the lowest, and all files in it."""
    rows = re.findall(r"^\| (\d+) \| `([\w/.]+)` \| .+? \| (.*)\|$", read(name), re.M)
    described = {}
    for floor, place, files in rows:
        assert int(floor) == house.FLOORS[place.removesuffix(".py").split("/")[0]]
        stems = re.findall(r"`(\w+)`", files)
        assert stems == sorted(stems)
        described |= {f"{place}{stem}.py": floor for stem in stems} or {place: floor}
    modules = {house.path_of(name).relative_to(house.PACKAGE).as_posix() for name in house.MODULES}
    assert set(described) == modules - {"__init__.py"}
    floors = [int(floor) for floor, *_ in rows]
    assert floors == sorted(floors, reverse=True)


@pytest.mark.parametrize("name", ARCHITECTURE)
def test_seven_files_lead_from_a_file_to_an_answer(name):
    steps = re.findall(r"^\d\. \[([\w/.]+)\]\(\.\./\.\./h2q/([\w/.]+)\)", read(name), re.M)
    assert len(steps) == 7
    assert all(shown == target for shown, target in steps)


@pytest.mark.parametrize("name", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_files_of_the_repository_named_in_the_text_exist(name):
    """Paths in back quotes that begin with a folder of the repository."""
    folders = "h2q|tests|benchmarks|docs"
    for path in re.findall(rf"`(?:python3? )?((?:{folders})/[\w/.]*)", read(name)):
        assert Path(REPOSITORY / path).exists(), path


@each_document
def test_output_that_is_shown_is_what_the_program_says(name):
    """Every line of a block of output is a sentence of the catalogue, in the language of the page."""
    number = 1 if ".en." in name or "/en/" in name else 0
    sentences = [texts[number] for texts in catalogue.MESSAGES.values()]
    lines = {line.strip() for sentence in sentences for line in sentence.splitlines()}
    parts = [map(re.escape, re.split(r"\{[^}]*\}", line)) for line in lines if line]
    patterns = [re.compile(".*".join(part)) for part in parts]
    patterns = [pattern for pattern in patterns if pattern.pattern.strip(".*")]
    for block in blocks(read(name)):
        said = [line.strip() for line in block.splitlines() if line.strip() not in ("", "…")]
        known = [any(pattern.fullmatch(line) for pattern in patterns) for line in said]
        if any(known):  # else it is a tree of files, or what a model wrote
            assert [line for line, found in zip(said, known) if not found] == []


@pytest.mark.parametrize("name", TROUBLES)
def test_messages_that_mean_trouble_exist(name):
    """What is quoted in the first column is part of a sentence of the catalogue."""
    said = "\n".join(text for texts in catalogue.MESSAGES.values() for text in texts)
    rows = re.findall(r"^\| (.*?) \|", read(name), re.M)
    quoted = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]
    messages = [quote for quote in quoted if not quote.startswith(("-", "kill"))]
    assert len(messages) >= 1
    for part in (part.strip() for message in messages for part in message.split("…")):
        assert part in said, part
