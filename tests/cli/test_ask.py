"""``--mode ask`` and ``/ask`` as a person uses them."""

import io
import json
import sys

import pytest

from h2q.cli.ask import ask
from h2q.cli.infer import infer
from h2q.cli.main import chat_main
from h2q.system.console import Console
from h2q.system.errors import KnowledgeError, ModelFileError, PromptsError, SettingError
from h2q.system.messages.catalogue import set_language
from h2q.system.paths import MODEL_PATH, OutputPaths
from tests.asking.conftest import FACTS, NOTES, write_facts
from tests.cli.conftest import inference, save_small_model
from tests.conftest import chat, run_python


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with a person's facts and notes and without a model."""
    monkeypatch.chdir(tmp_path)
    write_facts(tmp_path / "data" / "knowledge_base" / "family.jsonl", FACTS)
    (tmp_path / "data" / "training_data").mkdir()
    (tmp_path / "data" / "training_data" / "notes.txt").write_text(NOTES, encoding="utf-8")
    set_language("en")
    return tmp_path


@pytest.fixture
def told(place, capsys):
    """What a question is answered on stdout."""

    def told(*arguments):
        call = inference("--mode", "ask", *arguments)
        ask(call, Console(silent=call.as_json))
        return capsys.readouterr().out

    return told


def test_an_answer_has_its_place(told):
    assert told("--prompt", "whats lena hart's job") == "dentist ✓ family.jsonl:1\n"
    assert told("--prompt", "lena job") == "dentist ✓ family.jsonl:1 (Lena Hart · job)\n"
    said = told("--prompt", "gate code")
    assert said == "📄 notes.txt:4: The gate code changed in May.\n"
    assert told("--prompt", "colour of the sky") == "Not in your notes.\n"
    set_language("zh")
    assert told("--prompt", "小红电话") == "13912345678 ✓ family.jsonl:7 (欧阳小红 · 电话)\n"


def test_as_json(told):
    def one(question):
        return json.loads(told("--json", "--prompt", question))

    assert one("lena hart job") == {
        **{"question": "lena hart job", "answer": "dentist", "file": "family.jsonl", "line": 1},
        "source": "fact",
    }
    found = one("hart job")
    assert found["about"] == "Lena Hart · job" and found["others"][0]["answer"] == "baker"
    assert one("gate code")["source"] == "notes"
    assert one("colour of the sky") == {
        **{"question": "colour of the sky", "answer": None, "file": None, "line": None},
        "source": None,
    }


def test_contradictions(place, told):
    write_facts(place / "data/knowledge_base/b.jsonl", [("Lena Hart", "job", "nurse", "en")])
    lines = told("--prompt", "lena hart job").splitlines()
    assert lines == [
        "nurse ✓ b.jsonl:1",
        "dentist ✓ family.jsonl:1",
        "⚠️ These contradict each other.",
    ]


def test_a_file_of_questions_in_its_order(place, told, capsys):
    (place / "q.txt").write_text("lena hart job\n\nwifi password\n")
    lines = told("--json", "--prompts_file", "q.txt").splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["dentist", "tulip-42"]
    assert "💬 wifi password\ntulip-42 ✓" in told("--prompts_file", "q.txt")
    (place / "q.jsonl").write_text('"lena hart job"\n{\n')
    with pytest.raises(PromptsError):
        told("--json", "--prompts_file", "q.jsonl")
    assert json.loads(capsys.readouterr().out)["answer"] == "dentist"


def test_a_question_from_standard_input(told, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"lena hart job")))
    assert told("--prompt", "-").startswith("dentist")


def typing(monkeypatch, *lines):
    """Types these lines; one that is an error is raised, and a function is called before."""
    typed = iter(lines)

    def read(shown):
        line = next(typed)
        if isinstance(line, type):
            raise line
        return line() if callable(line) else line

    monkeypatch.setattr("builtins.input", read)


def test_questions_are_typed_and_the_files_are_as_they_are_then(place, told, monkeypatch):
    def edit():
        facts = [("Lena Hart", "job", "surgeon", "en")]
        write_facts(place / "data/knowledge_base/family.jsonl", facts)
        return "lena hart job"

    typing(monkeypatch, "lena hart job", " ", KeyboardInterrupt, edit, "quit")
    said = told()
    assert said.index("dentist ✓") < said.index("surgeon ✓") < said.index("Goodbye")
    typing(monkeypatch, EOFError)
    assert "Goodbye" in told()


def test_wrong_use(place, told):
    for arguments in (["--prompt", " "], ["--lines"], ["--prompt", "a", "--prompts_file", "b"]):
        with pytest.raises(SettingError):
            told(*arguments)
    with pytest.raises(SettingError, match="data_dir"):
        inference("--mode", "export", "--data_dir", "x", "--model", place)
    with pytest.raises(ModelFileError):
        told("--prompt", "a", "--model", "none.pt")
    (place / "empty").mkdir()
    with pytest.raises(KnowledgeError, match="empty"):
        told("--knowledge_dir", "empty", "--data_dir", "empty", "--prompt", "a")


def test_the_shipped_knowledge_base_where_there_is_none_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ask(inference("--mode", "ask", "--prompt", "capital of france"), Console())
    assert capsys.readouterr().out.startswith("Paris ✓ countries.jsonl:")
    assert OutputPaths(tmp_path).ask_index.exists()


def test_controls_in_notes_do_not_reach_the_terminal(place, told):
    (place / "data" / "training_data" / "notes.txt").write_text("gate code \x1b[31m12\x07\n")
    assert "gate code \\x1b[31m12\\x07" in told("--prompt", "gate code")
    assert "\x1b" not in told("--json", "--prompt", "gate code")


def test_the_model_is_asked_where_no_fact_answers(place, told, monkeypatch):
    save_small_model(place)
    answers = iter(["dentist", "pilot", None])
    monkeypatch.setattr("h2q.asking.model_answer.model_answer", lambda *given: next(answers))
    question = ("--prompt", "how does lena hart earn her bread")
    assert told(*question) == "dentist ✓ family.jsonl:1\n"
    guessed = told(*question).splitlines()
    assert guessed == ["Not in your notes.", "? pilot (a guess of the model, without a source)"]
    assert told(*question) == "Not in your notes.\n"


def test_a_guess_is_no_answer_in_json(place, told, monkeypatch):
    save_small_model(place)
    monkeypatch.setattr("h2q.asking.model_answer.model_answer", lambda *given: "pilot")
    found = json.loads(told("--json", "--prompt", "how does lena hart earn her bread"))
    assert (found["answer"], found["source"], found["guess"]) == (None, None, "pilot")


def test_a_model_that_cannot_be_loaded_is_reported_once(place, capsys, told):
    (place / MODEL_PATH).parent.mkdir()
    (place / MODEL_PATH).write_bytes(b"no model")
    (place / "q.txt").write_text("moon base\nmoon palace\n")
    call = inference("--mode", "ask", "--prompts_file", "q.txt")
    ask(call, Console())
    out, err = capsys.readouterr()
    assert out.count("Not in your notes.") == 2 and len(err.splitlines()) == 1


def test_ask_within_a_conversation(place, capsys, monkeypatch):
    save_small_model(place)
    monkeypatch.setattr("h2q.cli.infer.model_answer", lambda *given: None)
    typing(monkeypatch, "/ask lena hart job", "/ask moon base", "/ask", "quit")
    infer(inference("--mode", "interactive"), Console())
    out, err = capsys.readouterr()
    assert "dentist ✓ family.jsonl:1\n" in out and "Not in your notes.\n" in out
    assert err.startswith("❌")


def test_a_conversation_without_facts_goes_on(place, capsys, monkeypatch):
    save_small_model(place)
    (place / "empty").mkdir()
    typing(monkeypatch, "/ask lena hart job", "quit")
    flags = ("--knowledge_dir", "empty", "--data_dir", "empty")
    infer(inference("--mode", "interactive", *flags), Console())
    assert capsys.readouterr().err.startswith("❌")


def test_no_library_is_loaded_where_a_fact_answers(place):
    code = f"""
import os, sys
os.chdir({str(place)!r})
from h2q.cli.main import chat_main
assert chat_main(["--mode", "ask", "--prompt", "lena hart job"]) == 0
assert "torch" not in sys.modules
"""
    assert run_python(code).stdout.startswith("dentist")


def test_from_the_command_line(place):
    run = chat("--mode", "ask", "--prompt", "lena hart job", cwd=place)
    assert (run.returncode, run.stdout) == (0, "dentist ✓ family.jsonl:1\n")
    assert chat_main(["--mode", "ask", "--prompt", "sky", "--lang", "en"]) == 0
    assert chat_main(["--mode", "ask", "--prompt", ""]) == 2
