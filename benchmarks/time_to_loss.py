"""How low the held-out loss gets in a given time: presets side by side on one text.

    python benchmarks/time_to_loss.py TEXT --run fast:8 --run readme [--seeds 5] [--opponents]
        [--ablations] [--model FILE] [--directory DIR] [--json FILE]

A run is a preset with minutes (``fast:8`` for ``--max_minutes 8``) or without (its own epochs).
The first 90 % of TEXT are trained on and the last 10 % are held out. Each run is the command
``local_training_system.py`` as a person gives it. Its time is the one in its log, and beside it the
wall-clock time of the whole command. The loss is measured over the whole held-out part, each byte
predicted once, in windows that do not overlap, in nats a character: of the Transformer alone and
with its memory.

``--opponents`` measures the memory alone, PPMd and xz on the same split (``opponents``).
``--ablations`` switches the parts of the memory off, one at a time (``ablations``). ``--model`` measures
a model that a run before left in ``--directory``. Results are written as they come, so a long series
may be stopped.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import opponents
import turns
from ablations import ablations
from h2q import config
from h2q.checkpoint.model_file import load_model
from h2q.datasets.corpus import open_corpus
from h2q.evaluation.held_out import evaluate_both
from h2q.system.device import choose_dtype
from h2q.system.paths import MODEL_PATH, TRAINING_LOG

SCRIPT = Path(__file__).resolve().parent.parent / "local_training_system.py"


def split(text: Path, encoding: str, directory: Path) -> int:
    """Writes ``train.txt`` and ``heldout.txt`` as UTF-8; returns the held-out characters."""
    content = text.read_bytes().decode(encoding)
    cut = int(0.9 * len(content))
    (directory / "train.txt").write_bytes(content[:cut].encode())
    (directory / "heldout.txt").write_bytes(content[cut:].encode())
    return len(content) - cut


def train(directory: Path, run: str, seed: int) -> dict:
    """Makes one run; returns its curve by epochs, its times, and where its model is."""
    preset, _, minutes = run.partition(":")
    output = directory / f"{preset}-{minutes}-{seed}"
    command = [sys.executable, SCRIPT, "--preset", preset, "--seed", seed, "--lang", "en"]
    command += ["--data_dir", directory / "train.txt", "--eval_dir", directory / "heldout.txt"]
    command += ["--output_dir", output]
    if minutes:
        command += ["--max_minutes", minutes]
    began = time.perf_counter()
    with (directory / "output.txt").open("ab") as printed:
        subprocess.run(list(map(str, command)), check=True, stdout=printed)
    command_seconds = time.perf_counter() - began
    log = json.loads((output / TRAINING_LOG).read_text(encoding="utf-8"))
    settings = config.preset(preset)
    batch_tokens = settings.training.batch_size * settings.model.context_length
    kept = ("seconds", "step", "train_loss", "eval_loss", "memory_eval_loss")
    return {
        "run": run,
        "seed": seed,
        "model": str(output / MODEL_PATH),
        "seconds": log[-1]["seconds"],
        "command_seconds": command_seconds,
        "steps": log[-1]["step"],
        "tokens": log[-1]["step"] * batch_tokens,
        "curve": [{key: entry[key] for key in kept if key in entry} for entry in log],
    }


def measure(path: Path, directory: Path, characters: int, parts: bool) -> dict:
    """The losses of the model in ``path`` over all of the held-out text; with ``parts``, those
    without each part of its memory, too."""
    model, provenance = load_model(path)
    settings = config.saved_training_config(provenance["training"])
    corpus = open_corpus(
        directory / "train.txt",
        directory,
        context_length=model.config.context_length,
        eval_path=directory / "heldout.txt",
        validation_fraction=settings.validation_fraction if settings.memory_bytes else 0.0,
    )
    if corpus.fingerprint != provenance["corpus"]:
        raise SystemExit(f"{path} was trained on another text")
    dtype = choose_dtype("auto", "cpu")
    share = len(corpus.heldout) / characters
    limit = opponents.ALL_BYTES
    alone, together = evaluate_both(
        model, corpus.heldout, model.memory, limit_bytes=limit, dtype=dtype
    )
    found: dict = {"loss": alone.loss * share, "bits_per_byte": alone.bits_per_byte}
    if together is not None:
        found["memory_loss"] = together.loss * share
        found["memory_bits_per_byte"] = together.bits_per_byte
        if parts:
            measured = ablations(model, corpus, settings.memory_bytes, dtype)
            found["ablations"] = {name: loss * share for name, loss in measured}
    return found


def runs(arguments: argparse.Namespace, directory: Path, characters: int):
    """Yields the figures of each run, each model and each opponent that is asked for."""
    for name in opponents.OPPONENTS if arguments.opponents else ():
        yield opponents.measure(name, directory, characters)
    for path in arguments.model:
        figures = measure(path, directory, characters, arguments.ablations)
        yield {"run": str(path), "model": str(path), **figures}
    for seed in range(42, 42 + arguments.seeds):
        for run in arguments.run:
            result = train(directory, run, seed)
            path = Path(result["model"])
            yield {**result, **measure(path, directory, characters, arguments.ablations)}


def median(group: list[dict], key: str) -> float | None:
    """Of the results that have the ``key``; None where none has it."""
    return statistics.median(found) if (found := [r[key] for r in group if key in r]) else None


def print_table(results: list[dict]) -> None:
    """Medians over the seeds, and each seed's loss with its memory."""
    names = list(dict.fromkeys(result["run"] for result in results))
    width = max(map(len, names)) + 2
    print(f"{'':{width}}{'':6}{'minutes':>18}{'':13}{'nats a character':>20}")
    print(
        f"{'run':{width}}{'seeds':>6}{'log':>9}{'command':>9}{'tokens':>13}{'alone':>10}{'memory':>10}"
        "  each seed"
    )
    for name in names:
        group = [result for result in results if result["run"] == name]
        minutes = [
            None if (seconds := median(group, key)) is None else seconds / 60
            for key in ("seconds", "command_seconds")
        ]
        losses = [median(group, key) for key in ("loss", "memory_loss")]
        tokens = median(group, "tokens")
        each = " ".join(f"{r.get('memory_loss', r['loss']):.4f}" for r in group)
        print(
            f"{name:{width}}{len(group):6}"
            + "".join(f"{'-' if m is None else f'{m:.2f}':>9}" for m in minutes)
            + f"{'-' if tokens is None else f'{tokens:,.0f}':>13}"
            + "".join(f"{'-' if loss is None else f'{loss:.4f}':>10}" for loss in losses)
            + f"  {each}"
        )


def print_ablations(results: list[dict]) -> None:
    """The median loss of each run without each part of the memory, in nats a character."""
    for name in dict.fromkeys(r["run"] for r in results if "ablations" in r):
        group = [r["ablations"] for r in results if r["run"] == name and "ablations" in r]
        print(f"\n{name}")
        whole = median(group, "all parts")
        for part in group[0]:
            loss = median(group, part)
            print(f"  {part:16}{loss:8.4f}{loss - whole:+9.4f}")


def arguments_of(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--encoding", default="utf-8")
    parser.add_argument("--run", action="append", default=[], metavar="PRESET[:MINUTES]")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, from seed 42 on")
    parser.add_argument("--opponents", action="store_true", help="the memory alone, PPMd and xz")
    parser.add_argument("--ablations", action="store_true", help="each part of the memory off")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="measure a model of a run before"
    )
    parser.add_argument("--directory", type=Path, help="keep the runs here")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args(line)
    if not (arguments.run or arguments.model or arguments.opponents):
        parser.error("nothing to do: give --run, --model or --opponents")
    return arguments


def main() -> None:
    arguments = arguments_of()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        characters = split(arguments.text, arguments.encoding, directory)
        for result in runs(arguments, directory, characters):
            results.append(result)
            turns.write_report(arguments.json, text=arguments.text.name, runs=results)
            print(json.dumps({key: result[key] for key in result if key != "curve"}), flush=True)
    print_table(results)
    print_ablations(results)


if __name__ == "__main__":
    main()
