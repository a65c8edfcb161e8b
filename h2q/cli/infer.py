"""What ``demo``, ``interactive``, ``score`` and ``export`` do once their arguments are in order."""

import contextlib
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from h2q.asking.asker import Asker
from h2q.asking.model_answer import model_answer
from h2q.checkpoint.export import export_model
from h2q.checkpoint.model_file import load_model
from h2q.cli.ask import answer_typed, opened
from h2q.cli.settings import InferenceCall
from h2q.datasets.encodings import read_as_utf8
from h2q.evaluation.line_scores import Score, byte_nats, score_lines
from h2q.evolution.statistics import read_stats
from h2q.generation.answer import answer, reseeded, shown
from h2q.generation.batch import answer_all
from h2q.generation.conversation import Conversation
from h2q.generation.inference import LocalInferenceModel
from h2q.generation.prompts import Prompt, PromptsFile, read_prompt
from h2q.model.tokenizer import decode
from h2q.system.console import Console
from h2q.system.device import choose_dtype
from h2q.system.errors import UnusableInput
from h2q.system.files import read_json
from h2q.system.messages.catalogue import language
from h2q.system.paths import OutputPaths

DEMO_PROMPTS = {  # by the language of the program; those in Chinese are the README's
    "zh": ("人工智能是", "机器学习", "量子计算可以", "深度学习"),
    "en": (
        "Artificial intelligence is",
        "Machine learning",
        "A quantum computer can",
        "Deep learning",
    ),
}


def infer(call: InferenceCall, console: Console) -> None:
    """One call of ``local_inference_demo.py``."""
    if call.job.mode == "export":
        _export(call, console)
        return
    model = LocalInferenceModel(call.model, memory=call.job.memory == "on")
    if call.job.mode == "score":
        _score_files(model, call, console)
        return
    parameters = model.model.parameter_count() / 1e6
    console.say("chat.loaded", path=call.model, parameters=parameters)
    prompt = None if call.prompt is None else read_prompt(call.prompt)
    if call.job.mode == "interactive":
        _converse(model, prompt, call, console)
    elif call.prompts_file is not None:
        answer_all(
            model, PromptsFile(call.prompts_file, call.sampling, console), call.as_json, console
        )
    else:
        _demo(model, DEMO_PROMPTS[language()] if prompt is None else (prompt,), call, console)


def _converse(
    model: LocalInferenceModel, first: str | None, call: InferenceCall, console: Console
) -> None:
    """A conversation, in which ``/ask`` answers from facts and notes."""
    with contextlib.ExitStack() as stack:

        @functools.cache  # facts and notes are read when something is asked
        def asker() -> Asker:
            answering = functools.partial(model_answer, model.model)
            return stack.enter_context(contextlib.closing(opened(call, console, lambda: answering)))

        def ask(question: str) -> None:
            answer_typed(asker(), question, console)

        Conversation(model, call.sampling, console, ask).run(first)


def _export(call: InferenceCall, console: Console) -> None:
    model, provenance = load_model(call.model)
    files = export_model(model, provenance, call.export_dir, call.job.format)
    if "memory_eval_loss" in provenance:
        console.say("export.alone", **provenance)
    console.say("export.done", form=call.job.format, files=" · ".join(map(str, files)))


def _demo(
    model: LocalInferenceModel, prompts: Sequence[str], call: InferenceCall, console: Console
) -> None:
    """Continues each prompt, then shows how the model was trained. As JSON, shows only answers."""
    if call.as_json:
        numbered = [
            Prompt(turn + 1, text, reseeded(call.sampling, turn))
            for turn, text in enumerate(prompts)
        ]
        answer_all(model, numbered, True, console, at_once=len(numbered))
        return
    for turn, prompt in enumerate(prompts):
        console.say("chat.prompt", prompt=shown(prompt))
        answer(model, prompt, reseeded(call.sampling, turn), console)
    _show_statistics(OutputPaths.of_model(model.path), console)


def _show_statistics(output: OutputPaths, console: Console) -> None:
    """The last epoch of the training log and the evolution statistics; a damaged file is named."""
    try:
        if output.training_log.exists():
            _show_last_epoch(output.training_log, console)
        else:
            console.say("chat.no_training")
    except UnusableInput as error:
        console.warn("error", error=error)
    try:
        if output.evolution_stats.exists():
            console.say("evolve.stats", **read_stats(output.root))
        else:
            console.say("chat.no_evolution")
    except UnusableInput as error:
        console.warn("error", error=error)


def _show_last_epoch(path: Path, console: Console) -> None:
    log = read_json(path)
    try:
        console.say("chat.training", **log[-1])
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise UnusableInput("file.json", path=path, reason="not a training log") from error


def _score_files(model: LocalInferenceModel, call: InferenceCall, console: Console) -> None:
    """Shows the score of each file; with ``--lines``, first the score of each of its lines."""
    dtype = choose_dtype("auto", "cpu")
    for path in call.files:
        total = Score()
        lines = score_lines(byte_nats(model.model, read_as_utf8(path), dtype), total)
        for number, line in enumerate(lines, 1):
            if call.lines:
                _tell_line(path, number, line, call.as_json, console)
        if call.as_json:
            console.data(_json({"file": str(path), **_figures(total)}))
        elif total.size:
            bits, perplexity = total.bits_per_byte, total.perplexity
            console.say("score.file", path=path, size=total.size, bits=bits, perplexity=perplexity)
        else:
            console.say("score.empty", path=path)


def _tell_line(path: Path, number: int, line: Score, as_json: bool, console: Console) -> None:
    text = decode(bytes(line.shown)).rstrip("\r\n\ufffd")
    if as_json:
        console.data(_json({"file": str(path), "line": number, **_figures(line), "text": text}))
    else:
        console.write(f"{line.bits_per_byte:8.4f}\t{number}\t{text}\n")


def _figures(score: Score) -> dict[str, int | float | None]:
    return {
        "bytes": score.size,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity,
    }


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False)
