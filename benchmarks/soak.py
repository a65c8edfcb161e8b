"""Trains, evolves and generates in a loop, and compares with a process that is killed repeatedly.

    python benchmarks/soak.py [--minutes 60] [--seed 0] [--directory DIR] [--json FILE]

Every round is done twice at once, with a model of about 50 thousand parameters. One process does
all rounds without disturbance; its memory must not grow from round to round. Another process
does the same round. It is killed (kill -9) at random moments, up to four times, and started again
with what is on disk. Weights, optimizer state and position at the end of its training, and the
model after its evolution, must equal the undisturbed ones bit for bit. After each round a line is
appended to FILE; the last lines on stdout are the figures.
"""

import argparse
import contextlib
import gc
import hashlib
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KILLS = 4  # in one round, at most
STARTUP_SECONDS = 3.0  # of a process
WARM_UP_ROUNDS = 5  # caches fill; left out of the figures of memory
SUBJECTS = ["cat", "dog", "river", "teacher", "wind", "学生", "医生", "春天", "机器", "朋友"]
VERBS = ["sees", "finds", "follows", "remembers", "likes", "看见", "喜欢", "记得", "寻找", "跟着"]


def sentences(size: int, seed: int) -> str:
    """About ``size`` bytes of simple sentences."""
    generator = random.Random(seed)
    lines, written = [], 0
    while written < size:
        words = (generator.choice(part) for part in (SUBJECTS, VERBS, SUBJECTS))
        lines.append(" ".join(words) + f" {generator.randrange(100)}.")
        written += len(lines[-1].encode("utf-8")) + 1
    return "\n".join(lines) + "\n"


def write_text(directory: Path) -> None:
    (directory / "text").mkdir()
    (directory / "text" / "text.txt").write_text(sentences(24_000, 0), encoding="utf-8")
    (directory / "knowledge").mkdir()
    passages = "\n\n".join(sentences(300, seed) for seed in range(1, 100))
    (directory / "knowledge" / "passages.txt").write_text(passages, encoding="utf-8")


def do_round(directory: Path, seed: int, output: Path) -> dict:
    """Trains (or resumes), evolves by one cycle and talks, all below ``output``; returns digests."""
    from h2q.checkpoint import container
    from h2q.checkpoint.directory import CheckpointDirectory
    from h2q.checkpoint.saved_run import load_saved_run
    from h2q.cli import main
    from h2q.config import ModelConfig, TrainingConfig
    from h2q.datasets.corpus import open_corpus
    from h2q.system.console import Console
    from h2q.system.files import locked_directory
    from h2q.system.paths import CHECKPOINT_DIR, EVOLUTION_STATS, MODEL_PATH
    from h2q.training.trainer import LocalModelTrainer

    model_path = output / MODEL_PATH
    training = TrainingConfig(epochs=4, lr=2e-3, seed=seed, save_interval_seconds=0.3)
    if not (output / EVOLUTION_STATS).exists():
        with locked_directory(output):
            LocalModelTrainer(
                open_corpus(
                    directory / "text",
                    output / "cache",
                    context_length=64,
                    validation_fraction=training.validation_fraction,
                ),
                output,
                ModelConfig(
                    embed_dim=48, n_heads=2, n_layers=2, context_length=64, feedforward_dim=96
                ),
                training,
                resume_from=load_saved_run(output, Console(silent=True)),
            ).train()
        evolve = ["--mode", "evolve", "--cycles", "1", "--data_dir", directory / "text"]
        evolve += ["--knowledge_dir", directory / "knowledge", "--output_dir", output]
        quietly(main.train_main, [*evolve, "--seed", seed, "--dtype", "float32"])
    quietly(main.chat_main, ["--model", model_path, "--prompt", "the cat", "--seed", seed])
    newest = list(CheckpointDirectory(output / CHECKPOINT_DIR).steps().values())[-1]
    tensors, metadata = container.load(newest)
    position = metadata["position"]
    entries = [position, *position["log"]]
    points = [point for entry in entries for point in entry["curve"]]
    for entry in [*entries, *points]:
        for clock in ("seconds", "epoch_seconds", "tokens_per_second"):
            entry.pop(clock, None)
    history = json.loads((output / EVOLUTION_STATS).read_text(encoding="utf-8"))
    return {
        "trained": digest(tensors, position),
        "evolved": digest(container.load(model_path)[0], history),
        "promoted": history["successful_evolutions"],
        "evolutions": history["total_evolutions"],
    }


def quietly(command, arguments: list) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        code = command([str(argument) for argument in arguments])
    if code != 0:
        raise RuntimeError(f"{command.__name__} ended with {code}")


def digest(tensors: dict, values: dict) -> str:
    whole = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        whole.update(name.encode() + tensor.numpy().tobytes())
    return whole.hexdigest()


def resident_mb() -> float:
    gc.collect()
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def work(directory: Path) -> None:
    """A worker: does the rounds named on stdin, one a line, and answers each with a line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        seed, output = line.rstrip("\n").split(" ", 1)
        started = time.monotonic()
        result = do_round(directory, int(seed), Path(output))
        result |= {"seconds": time.monotonic() - started, "resident_mb": resident_mb()}
        print(json.dumps(result), file=answers, flush=True)


class Worker:
    """A process that does rounds."""

    def __init__(self, directory: Path):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # so that each gets a fair share of a busy machine
        )

    def ask(self, seed: int, output: Path) -> None:
        self.process.stdin.write(f"{seed} {output}\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with {self.process.wait()}")
        return json.loads(line)

    def answers_within(self, seconds: float) -> bool:
        """Waits for the answer. Kills the process and returns False when the time is over."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            return False
        return True

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def disturbed(directory: Path, seed: int, output: Path, generator, longest: float):
    """Does one round with processes that are killed; returns its result and the number of kills."""
    kills = 0
    while True:
        worker = Worker(directory)
        worker.ask(seed, output)
        worker.process.stdin.close()
        if kills == KILLS or worker.answers_within(generator.uniform(0.0, longest)):
            result = worker.answer()
            worker.process.wait()
            return result, kills
        kills += 1


def remains(output: Path) -> int:
    """Temporary files that a killed process left behind."""
    return sum(path.suffix == ".tmp" for path in output.rglob(".*"))


def remove(output: Path) -> None:
    subprocess.run(["rm", "-rf", str(output)], check=True)


def soak(minutes: float, seed: int, directory: Path, report: Path | None) -> list[dict]:
    generator = random.Random(seed)
    write_text(directory)
    steady = Worker(directory)
    rounds = []
    end = time.monotonic() + 60 * minutes
    longest = 30.0  # seconds to a kill; from the second round on, the duration of the last round
    while time.monotonic() < end:
        number = len(rounds)
        straight, killed = directory / f"straight_{number}", directory / f"killed_{number}"
        steady.ask(number, straight)
        found, kills = disturbed(directory, number, killed, generator, longest)
        expected = steady.answer()
        longest = STARTUP_SECONDS + expected["seconds"]
        entry = {
            "round": number,
            "kills": kills,
            "training_exact": found["trained"] == expected["trained"],
            "evolution_exact": found["evolved"] == expected["evolved"],
            "promoted": expected["promoted"],
            "resident_mb": round(expected["resident_mb"], 1),
            "seconds": round(expected["seconds"], 2),
            "remains": remains(killed),
        }
        rounds.append(entry)
        print(json.dumps(entry), flush=True)
        if report is not None:
            with report.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(entry) + "\n")
        if entry["training_exact"] and entry["evolution_exact"]:  # keep the others for inspection
            remove(straight)
            remove(killed)
    steady.close()
    return rounds


def print_figures(rounds: list[dict]) -> None:
    memory = [entry["resident_mb"] for entry in rounds[WARM_UP_ROUNDS:]] or [0.0]
    quarter = max(1, len(memory) // 4)
    first, last = (statistics.median(part) for part in (memory[:quarter], memory[-quarter:]))
    count = len(rounds)
    print(f"rounds                      {count}")
    print(f"kills                       {sum(entry['kills'] for entry in rounds)}")
    print(f"training bit-identical      {sum(e['training_exact'] for e in rounds)} of {count}")
    print(f"evolution bit-identical     {sum(e['evolution_exact'] for e in rounds)} of {count}")
    print(f"promotions                  {sum(entry['promoted'] for entry in rounds)}")
    print(f"temporary files left        {sum(entry['remains'] for entry in rounds)}")
    print(f"resident MB, first quarter  {first:.1f}")
    print(f"resident MB, last quarter   {last:.1f} ({last - first:+.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--directory", type=Path, help="where the runs are written meanwhile")
    parser.add_argument("--json", type=Path, help="append a line a round to this file")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        work(arguments.worker)
        return
    if arguments.directory is not None:
        arguments.directory.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=arguments.directory))
    rounds = soak(arguments.minutes, arguments.seed, directory, arguments.json)
    print_figures(rounds)
    if not all(entry["training_exact"] and entry["evolution_exact"] for entry in rounds):
        print(f"what was not exact is kept in {directory}")
        sys.exit(1)
    remove(directory)


if __name__ == "__main__":
    main()
