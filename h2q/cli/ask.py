"""``--mode ask`` and ``/ask``: questions in, answers with their places out.

Loads PyTorch only when a question needs the model.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from h2q.asking.answers import Found, Reply
from h2q.asking.asker import Answering, Asker
from h2q.cli.knowledge import default_knowledge
from h2q.cli.settings import InferenceCall
from h2q.generation.prompts import PromptsFile, read_prompt
from h2q.system.console import Console
from h2q.system.errors import ModelFileError, PromptsError, SettingError
from h2q.system.line_editing import LEAVE, line_editing
from h2q.system.messages.catalogue import message
from h2q.system.paths import (
    DEFAULT_DATA_DIR,
    OutputPaths,
    ask_history,
)


def ask(call: InferenceCall, console: Console) -> None:
    """Answers the question, the file of questions, or what is typed until the person leaves."""
    question = None if call.prompt is None else _required(read_prompt(call.prompt))
    with contextlib.closing(opened(call, console, lambda: _load_model(call, console))) as asker:
        if question is not None:
            _tell(asker.reply(question), call.as_json, console)
        elif call.prompts_file is not None:
            prompts = PromptsFile(call.prompts_file, call.sampling, console)
            for prompt in prompts:
                if not call.as_json:
                    console.say("chat.prompt", prompt=prompt.text)
                _tell(asker.reply(prompt.text), call.as_json, console)
            if prompts.broken:
                raise PromptsError("prompts.broken", path=prompts.path, count=prompts.broken)
        else:
            _converse(asker, call, console)


def opened(
    call: InferenceCall, console: Console, load_model: Callable[[], Answering | None]
) -> Asker:
    """Reads what is new in facts and notes. Raises ``KnowledgeError`` where there are none."""
    knowledge_dir, data_dir = call.knowledge_dir, call.data_dir
    if knowledge_dir is None:
        knowledge_dir = default_knowledge(data_dir)
    if data_dir is None and Path(DEFAULT_DATA_DIR).is_dir():
        data_dir = Path(DEFAULT_DATA_DIR)
    index_path = OutputPaths.of_model(call.model).ask_index
    with console.passing("ask.reading"):
        return Asker(knowledge_dir, data_dir, index_path, load_model)


def answer_typed(asker: Asker, question: str, console: Console) -> None:
    """Answers what was typed, from the files as they are now."""
    asker.refresh()
    _tell(asker.reply(_required(question)), False, console)


def _required(question: str) -> str:
    if not question.strip():
        raise SettingError("ask.empty")
    return question


def _load_model(call: InferenceCall, console: Console) -> Answering | None:
    """The trained model; None where there is none. One that cannot be loaded is reported."""
    if not call.model.exists():
        return None
    with console.passing("start.loading"):
        from h2q.asking.model_answer import model_answer
        from h2q.generation.inference import LocalInferenceModel
    try:
        model = LocalInferenceModel(call.model, memory=call.job.memory == "on").model
    except ModelFileError as error:
        console.warn("error", error=error)
        return None
    return lambda question: model_answer(model, question)


def _converse(asker: Asker, call: InferenceCall, console: Console) -> None:
    """Answers what is typed until a word of ``LEAVE`` or Ctrl-D."""
    with line_editing(ask_history(call.model)):
        console.say("ask.help")
        while True:
            try:
                typed = input("" if call.as_json else message("ask.input"))
            except EOFError:
                console.write("\n")
                break
            except KeyboardInterrupt:
                console.write("\n")
                console.say("ask.help")
                continue
            if typed.strip().lower() in LEAVE:
                break
            if typed.strip():
                asker.refresh()
                _tell(asker.reply(typed), call.as_json, console)
    console.say("chat.bye")


def _tell(reply: Reply, as_json: bool, console: Console) -> None:
    """Shows an answer with its place, as text or as a line of JSON."""
    if as_json:
        console.data(_as_json(reply))
        return
    for found in reply.found:
        key = "ask.line" if reply.source == "notes" else "ask.fact"
        about = message("ask.about", about=found.about) if found.about else ""
        console.say(key, answer=found.answer, file=found.file, line=found.line, about=about)
    if reply.contradicts:
        console.say("ask.contradicts")
    if not reply.found:
        console.say("ask.none")
    if reply.guess is not None:
        console.say("ask.guess", guess=reply.guess)


def _as_json(reply: Reply) -> str:
    first, *others = map(_placed, reply.found) if reply.found else [_placed(None)]
    values = {"question": reply.question, **first, "source": reply.source}
    if others:
        values["others"] = others
    if reply.guess is not None:
        values["guess"] = reply.guess
    return json.dumps(values, ensure_ascii=False)


def _placed(found: Found | None) -> dict[str, object]:
    if found is None:
        return {"answer": None, "file": None, "line": None}
    about = {"about": found.about} if found.about else {}
    return {"answer": found.answer, "file": found.file, "line": found.line, **about}
