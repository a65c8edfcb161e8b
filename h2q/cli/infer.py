"""What ``demo``, ``interactive`` and ``score`` do once their arguments are in order."""

import argparse
import json
from pathlib import Path

from h2q.config import SamplingConfig
from h2q.datasets.encodings import read_as_utf8
from h2q.evaluation.line_scores import Score, byte_nats, score_lines
from h2q.evolution.statistics import read_stats
from h2q.generation.answer import answer, reseeded, shown
from h2q.generation.batch import Prompt, PromptsFile, answer_all, read_prompt
from h2q.generation.conversation import Conversation
from h2q.generation.inference import LocalInferenceModel
from h2q.model.tokenizer import decode
from h2q.system.console import Console
from h2q.system.device import choose_dtype
from h2q.system.errors import UnusableInput
from h2q.system.files import read_json
from h2q.system.paths import EVOLUTION_STATS, TRAINING_LOG

DEMO_PROMPTS = ("人工智能是", "机器学习", "量子计算可以", "深度学习")


def demo(
    model: LocalInferenceModel, prompts: tuple[str, ...], sampling: SamplingConfig, console: Console
) -> None:
    """Continues each prompt, then shows the latest training and evolution statistics."""
    for turn, prompt in enumerate(prompts):
        console.say("chat.prompt", prompt=shown(prompt))
        answer(model, prompt, reseeded(sampling, turn), console)
    _show_statistics(model.path.parent.parent, console)


def _show_statistics(output_dir: Path, console: Console) -> None:
    """The last epoch of the training log and the evolution statistics; a damaged file is named."""
    log_path = output_dir / TRAINING_LOG
    try:
        if log_path.exists():
            _show_last_epoch(log_path, console)
        else:
            console.say("chat.no_training")
    except UnusableInput as error:
        console.warn("error", error=error)
    try:
        if (output_dir / EVOLUTION_STATS).exists():
            console.say("evolve.stats", **read_stats(output_dir))
        else:
            console.say("chat.no_evolution")
    except UnusableInput as error:
        console.warn("error", error=error)


def _show_last_epoch(log_path: Path, console: Console) -> None:
    log = read_json(log_path)
    try:
        console.say("chat.training", **log[-1])
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise UnusableInput("file.json", path=log_path, reason="not a training log") from error


def run(arguments: argparse.Namespace, sampling: SamplingConfig, console: Console) -> None:
    """One call of ``local_inference_demo.py``."""
    model = LocalInferenceModel(arguments.model)
    if arguments.mode == "score":
        score_files(model, arguments, console)
        return
    parameters = model.model.parameter_count() / 1e6
    console.say("chat.loaded", path=arguments.model, parameters=parameters)
    prompt = None if arguments.prompt is None else read_prompt(arguments.prompt)
    if arguments.mode == "interactive":
        Conversation(model, sampling, console).run(prompt)
    elif arguments.prompts_file is not None:
        prompts = PromptsFile(arguments.prompts_file, sampling, console)
        answer_all(model, prompts, arguments.json, console)
    else:
        prompts = DEMO_PROMPTS if prompt is None else (prompt,)
        if arguments.json:
            numbered = [
                Prompt(turn + 1, text, reseeded(sampling, turn))
                for turn, text in enumerate(prompts)
            ]
            answer_all(model, numbered, True, console, at_once=len(numbered))
        else:
            demo(model, prompts, sampling, console)


def score_files(
    model: LocalInferenceModel, arguments: argparse.Namespace, console: Console
) -> None:
    """Tells the score of each file, and before it, where wanted, of each of its lines."""
    dtype = choose_dtype("auto", "cpu")
    for path in arguments.files:
        total = Score()
        lines = score_lines(byte_nats(model.model, read_as_utf8(path), dtype), total)
        for number, line in enumerate(lines, 1):
            if not arguments.lines:
                continue
            text = decode(bytes(line.shown)).rstrip("\r\n\ufffd")
            if arguments.json:
                figures = _figures(line)
                console.data(_json({"file": str(path), "line": number, **figures, "text": text}))
            else:
                console.write(f"{line.bits_per_byte:8.4f}\t{number}\t{text}\n")
        if arguments.json:
            console.data(_json({"file": str(path), **_figures(total)}))
        elif total.size:
            bits, perplexity = total.bits_per_byte, total.perplexity
            console.say("score.file", path=path, size=total.size, bits=bits, perplexity=perplexity)
        else:
            console.say("score.empty", path=path)


def _figures(score: Score) -> dict:
    return {
        "bytes": score.size,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity,
    }


def _json(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False)
