"""Small models on the texts of experiment B: does the memory beat PPMd?

    python benchmarks/evolution/prose_memory.py OUT TEXT [--megabytes 4] [--seed 0] [--bytes 32768]
        [--cases clean scarce noisy] [--json FILE]

The texts are those of ``prose``: the model of 0.1M parameters learns each for so many passes that it
reads the megabytes, with a rate that decays to 0. The figures are bits per byte on windows of the
last tenth of TEXT, which was put away: of the Transformer alone, with its memory, and of PPMd after
the same text, which begins each window anew, too. Beside it stands PPMd on all of that tenth, from
which it goes on learning.
"""

import argparse
import math
import sys
from pathlib import Path

from arms import MODELS, base_model, champion_of, one_thread, put_away
from prose import CASES, write_case

from h2q.config import TrainingConfig
from h2q.datasets.corpus import ByteStream
from h2q.evaluation.held_out import evaluate_both

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import turns
from opponents import ppmd, ppmd_in_windows

MODEL = MODELS["short"]


def measure(home: Path, text: str, report: ByteStream, arguments: argparse.Namespace, case: str):
    """Bits per byte of the put-away text, of each predictor."""
    path = home / "text" / "text.txt"
    if not path.exists():
        write_case(path.parent, case, text, arguments.seed)
    train = path.read_bytes()
    passes = max(1, round(arguments.megabytes * 1e6 / len(train)))
    fraction = TrainingConfig().validation_fraction
    base_model(home / "model", path.parent, MODEL, passes, arguments.seed, 8, fraction)
    model = champion_of(home / "model")
    limit = arguments.bytes
    alone, together = evaluate_both(model, report, model.memory, limit_bytes=limit)
    windows = report.windows(MODEL.context_length, limit)
    nats, order = ppmd_in_windows(train, [report.read(at, count + 1) for at, count in windows])
    learning_nats, _ = ppmd(train, report.read(0, len(report)))
    return {
        "case": case,
        "alone": alone.bits_per_byte,
        "memory": together.bits_per_byte,
        "ppmd": nats / math.log(2) / alone.predicted_bytes,
        "ppmd_order": order,
        "ppmd_learning": learning_nats / math.log(2) / len(report),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=float, default=4.0, help="read in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bytes", type=int, default=32_768, help="of the windows, spread evenly")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    one_thread()
    text, report = put_away(arguments.text, arguments.out, MODEL.context_length)
    rows = []
    print("| case | Transformer | with memory | PPMd | PPMd, learning |\n|---|---|---|---|---|")
    for case in arguments.cases:
        home = arguments.out / f"memory-{case}-{arguments.seed}"
        rows.append(measure(home, text, report, arguments, case))
        turns.write_report(arguments.json, bits_per_byte=rows)
        names = ("alone", "memory", "ppmd", "ppmd_learning")
        bits = " | ".join(f"{rows[-1][name]:.4f}" for name in names)
        print(f"| {case} | {bits} |", flush=True)


if __name__ == "__main__":
    main()
