"""The forms of question as people type them, which are for measuring alone."""

import json
import random
import re
import sys
from dataclasses import replace

import pytest

from h2q.checkpoint.model_file import save_model
from h2q.datasets.rewording import GREETINGS, THANKS, any_words
from h2q.datasets.templates import Fact
from h2q.model.transformer import Transformer
from h2q.system.files import read_json
from h2q.system.paths import shipped_knowledge_dir
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "evolution"))
import asked
from asked import FORMS, Form, arguments_of, mistyped, read_forms, run, table

FORMS_BY_LANG = read_forms()
WORDINGS = read_json(shipped_knowledge_dir() / "wordings.json")
RUN = {"en": 4, "zh": 8}  # words, or characters, that no form has in common with what is trained on
LANGS = ("en", "zh")
LENA = Fact("1", "Lena Hart", "home_town", "Arlen", ("Arlen City",), "en")


def words(text: str, lang: str) -> list[str]:
    """The words, or characters, of ``text`` without what is filled in."""
    return re.findall(r"\w+" if lang == "en" else r"\w", re.sub(r"\{\w+\}", " ", text).casefold())


def runs(text: str, lang: str) -> set[tuple[str, ...]]:
    found, length = words(text, lang), RUN[lang]
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def letters(text: str) -> str:
    return re.sub(r"[^\w{}]", "", text).casefold()


def trained(lang: str) -> set[str]:
    """All templates of all relations, held-out ones too, with all that the rules add to them."""
    templates = {
        template
        for by_language in WORDINGS.values()
        for form in ("statements", "questions")
        for template in by_language[lang][form]
    }
    return {
        before + template + after
        for template in templates
        for before in ("", *GREETINGS[lang])
        for after in ("", *THANKS[lang])
    }


@pytest.mark.parametrize("lang", LANGS)
def test_there_are_many_forms_of_many_kinds(lang):
    forms = FORMS_BY_LANG[lang]
    assert len({letters(form.text) for form in forms}) == len(forms) >= 45
    assert len({form.kind for form in forms}) >= 7
    for form in forms:
        assert form.text.count("{subject}") == form.text.count("{relation}") == 1
    lengths = [len(words(form.text, lang)) for form in forms]
    assert min(lengths) <= 1 and max(lengths) >= 12
    ended = [form.text.endswith(("?", "？")) for form in forms]
    assert 4 <= sum(ended) < len(forms) / 2


@pytest.mark.parametrize("lang", LANGS)
def test_the_forms_are_not_trained_on(lang):
    known, same = set(), set()
    for template in trained(lang):
        known |= runs(template, lang)
        same.add(letters(template))
    for form in FORMS_BY_LANG[lang]:
        assert not runs(form.text, lang) & known, form.text
        assert letters(form.text) not in same, form.text


@pytest.mark.parametrize("lang", LANGS)
def test_questions_among_any_words_are_no_such_forms(lang):
    """By chance they could be; of 20,000 none is."""
    source = random.Random(0)
    made = set().union(*(runs(any_words(lang, source), lang) for _ in range(20_000)))
    for form in FORMS_BY_LANG[lang]:
        assert not runs(form.text, lang) & made, form.text


def test_nothing_of_the_program_reads_the_forms():
    for path in (REPOSITORY / "h2q").rglob("*.py"):
        assert FORMS.name not in path.read_text(encoding="utf-8")


def test_a_form_is_asked_in_its_style():
    assert Form("x", "{relation} of {subject}").ask(LENA, WORDINGS) == "home town of Lena Hart"
    said = {"home_town": {"en": {"name": "Town"}}}
    assert Form("x", "{relation}, {subject}", ("lower",)).ask(LENA, said) == "town, lena hart"
    assert Form("x", "{relation}, {subject}", ("upper",)).ask(LENA, said) == "TOWN, LENA HART"
    typo = Form("x", "{relation} of {subject}", ("typo",)).ask(LENA, WORDINGS)
    assert typo == mistyped("home town of Lena Hart") != "home town of Lena Hart"


def test_a_letter_of_a_longer_word_is_mistyped():
    seen = {mistyped(f"a question {number}") for number in range(60)}
    assert any("question"[:-3] in text for text in seen)
    assert {len(text.split()[1]) for text in seen} == {7, 9}
    assert all(text.split()[1][0] == "q" and text[:2] == "a " for text in seen)
    assert mistyped("a b 1234 李雷的") == "a b 1234 李雷的"


@pytest.fixture
def home(tmp_path, tiny_model_config):
    """A model that knows nothing, and a knowledge base of two languages."""
    config = replace(tiny_model_config, context_length=128)
    save_model(tmp_path / "out" / "h2q_project" / "m.pt", Transformer(config), {})
    facts = [vars(LENA), {**vars(LENA), "id": "2", "subject": "Max", "object": "Elstow"}]
    facts += [
        {**vars(LENA), "id": f"3{number}", "subject": name, "relation": "职业", "lang": "zh"}
        for number, name in enumerate(("李雷", "韩梅", "王五"))
    ]
    (tmp_path / "kb").mkdir()
    lines = "\n".join(json.dumps(fact) for fact in facts)
    (tmp_path / "kb" / "facts.jsonl").write_text(lines, encoding="utf-8")
    return tmp_path


def line(home, *more: str) -> list[str]:
    return [str(home / "out" / "h2q_project" / "m.pt"), str(home / "kb"), *more]


def test_the_shares_of_right_answers(home, monkeypatch):
    """Of a model that answers English questions in which the word town is written so."""

    def score(model, questions):
        right = [bool(re.search(r"\btown\b", question.prompt)) for question in questions]
        return type("Scores", (), {"correct": asked.np.array(right)})

    monkeypatch.setattr(asked, "score", score)
    result = run(arguments_of(line(home, "--facts", "2")))
    assert result["facts"] == {"zh": 2, "en": 2}
    assert result["chance"] == {"zh": 1.0, "en": 0.5}
    assert result["languages"]["zh"] == 0 and 0.9 < result["languages"]["en"] < 1
    shares = {form["text"]: form["right"] for form in result["forms"]}
    assert shares["TELL ME {relation} FOR {subject} NOW"] == 0  # TOWN
    assert len(shares) == sum(map(len, FORMS_BY_LANG.values()))
    assert "| en | 2 |" in table(result) and "| typo |" in table(result)


def test_a_model_that_knows_nothing_answers_nothing(home):
    result = run(arguments_of(line(home, "--facts", "1")))
    assert set(result["languages"].values()) == {0.0}


def test_only_facts_that_were_learnt_can_be_asked_about(home):
    memory = home / "out" / "training_checkpoints" / "evolution" / "champions.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"known": {"2": True}}), encoding="utf-8")
    assert run(arguments_of(line(home, "--learnt")))["facts"] == {"en": 1}
    memory.unlink()
    assert run(arguments_of(line(home, "--learnt")))["facts"] == {}
