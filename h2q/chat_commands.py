"""What ``demo``, ``interactive`` and ``score`` do once their arguments are in order."""

import argparse
import json

from h2q import chat
from h2q.config import SamplingConfig
from h2q.console import Console
from h2q.conversation import Conversation
from h2q.hardware import choose_dtype
from h2q.inference import LocalInferenceModel
from h2q.prompts import Prompt, PromptsFile, answer_all, read_prompt
from h2q.scoring import Score, byte_nats, read_as_utf8, score_lines
from h2q.tokenizer import decode


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
        prompts = chat.DEMO_PROMPTS if prompt is None else (prompt,)
        if arguments.json:
            numbered = [
                Prompt(turn + 1, text, chat.reseeded(sampling, turn))
                for turn, text in enumerate(prompts)
            ]
            answer_all(model, numbered, True, console, at_once=len(numbered))
        else:
            chat.demo(model, prompts, sampling, console)


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
