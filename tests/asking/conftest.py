"""A family's facts and notes, and what is known from them."""

import json

import pytest

from h2q.asking.asker import Asker

FACTS = [
    ("Lena Hart", "job", "dentist", "en"),
    ("Lena Hart", "birthday", "12 March 1990", "en"),
    ("Tom Hart", "job", "baker", "en"),
    ("Wi-Fi", "password", "tulip-42", "en"),
    ("王明", "工作", "老师", "zh"),
    ("王明", "生日", "5月3日", "zh"),
    ("欧阳小红", "电话", "13912345678", "zh"),
]
NOTES = """# Coffee machine
Descale it with vinegar, twice.

The gate code changed in May.
咖啡机每周用白醋除垢。
"""


def fact_line(number, subject, relation, value, lang, **others):
    values = {"id": f"f{number}", "subject": subject, "relation": relation, "object": value}
    return json.dumps({**values, "lang": lang, **others}, ensure_ascii=False)


def write_facts(path, facts):
    lines = [fact_line(number, *fact) for number, fact in enumerate(facts, 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def family(tmp_path):
    """A directory with facts in ``family.jsonl`` and notes in ``home/notes.md``."""
    directory = tmp_path / "family"
    write_facts(directory / "family.jsonl", FACTS)
    (directory / "home").mkdir()
    (directory / "home" / "notes.md").write_text(NOTES, encoding="utf-8")
    return directory


@pytest.fixture
def asker(family):
    asker = Asker(family, None, None, lambda: None)
    yield asker
    asker.close()


@pytest.fixture
def ask(asker):
    """From a question to the source and all answers with places."""

    def ask(question):
        reply = asker.reply(question)
        return reply.source, [(one.answer, f"{one.file}:{one.line}") for one in reply.found]

    return ask
