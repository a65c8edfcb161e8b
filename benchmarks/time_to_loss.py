"""How low the held-out loss gets in a given time: presets side by side on one text.

    python benchmarks/time_to_loss.py TEXT --run fast:8 --run readme [--seeds 5] [--json FILE]

A run is a preset with minutes (``fast:8`` for ``--max_minutes 8``) or without (its own epochs).
The first 90 % of TEXT are trained on and the last 10 % are held out. Each run is the command
``local_training_system.py`` as a person gives it; its time is the one in its log. The loss is
measured over the whole held-out part, each byte predicted once, in windows that do not overlap, in
nats a character. Results are written after each run, so a long series may be stopped.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import turns
from h2q import config
from h2q.checkpoint.model_file import load_model
from h2q.datasets.corpus import open_corpus
from h2q.evaluation.held_out import evaluate
from h2q.system.device import choose_dtype
from h2q.system.paths import MODEL_PATH, TRAINING_LOG

SCRIPT = Path(__file__).resolve().parent.parent / "local_training_system.py"
ALL_BYTES = 2**40  # with the size of the text as limit, its last, shorter window makes one too many


def split(text: Path, encoding: str, directory: Path) -> int:
    """Writes ``train.txt`` and ``heldout.txt`` as UTF-8; returns the held-out characters."""
    content = text.read_bytes().decode(encoding)
    cut = int(0.9 * len(content))
    (directory / "train.txt").write_bytes(content[:cut].encode())
    (directory / "heldout.txt").write_bytes(content[cut:].encode())
    return len(content) - cut


def measure(directory: Path, characters: int, run: str, seed: int) -> dict:
    """Makes one run; returns its curve by epochs and its loss over all of the held-out text."""
    preset, _, minutes = run.partition(":")
    output = directory / f"{preset}-{minutes}-{seed}"
    train, heldout = directory / "train.txt", directory / "heldout.txt"
    command = [sys.executable, SCRIPT, "--preset", preset, "--seed", seed, "--lang", "en"]
    command += ["--data_dir", train, "--eval_dir", heldout, "--output_dir", output]
    if minutes:
        command += ["--max_minutes", minutes]
    with (directory / "output.txt").open("ab") as printed:
        subprocess.run(list(map(str, command)), check=True, stdout=printed)
    log = json.loads((output / TRAINING_LOG).read_text(encoding="utf-8"))
    model, _ = load_model(output / MODEL_PATH)
    context = model.config.context_length
    corpus = open_corpus(train, output, context_length=context, eval_path=heldout)
    result = evaluate(
        model,
        corpus.heldout,
        limit_bytes=ALL_BYTES,
        dtype=choose_dtype("auto", "cpu"),
    )
    batch_tokens = config.preset(preset).training.batch_size * context
    return {
        "run": run,
        "seed": seed,
        "seconds": log[-1]["seconds"],
        "steps": log[-1]["step"],
        "tokens": log[-1]["step"] * batch_tokens,
        "loss": result.loss * len(corpus.heldout) / characters,
        "bits_per_byte": result.bits_per_byte,
        "curve": [
            {key: entry[key] for key in ("seconds", "step", "train_loss", "eval_loss")}
            for entry in log
        ],
    }


def print_table(results: list[dict]) -> None:
    print(f"{'run':12}{'seeds':>6}{'minutes':>9}{'tokens':>13}{'nats/char':>11}  each seed")
    for run in dict.fromkeys(result["run"] for result in results):
        group = [result for result in results if result["run"] == run]
        minutes, tokens, loss = (
            statistics.median(result[key] for result in group)
            for key in ("seconds", "tokens", "loss")
        )
        each = " ".join(f"{result['loss']:.4f}" for result in group)
        print(f"{run:12}{len(group):6}{minutes / 60:9.2f}{tokens:13,.0f}{loss:11.4f}  {each}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--encoding", default="utf-8")
    parser.add_argument("--run", action="append", required=True, metavar="PRESET[:MINUTES]")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, from seed 42 on")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as directory:
        characters = split(arguments.text, arguments.encoding, Path(directory))
        for seed in range(42, 42 + arguments.seeds):
            for run in arguments.run:
                results.append(measure(Path(directory), characters, run, seed))
                turns.write_report(arguments.json, text=arguments.text.name, runs=results)
    print_table(results)


if __name__ == "__main__":
    main()
