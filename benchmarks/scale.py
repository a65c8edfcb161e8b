"""Does the cost of a byte depend on the size of the text, or on the number of files?

    python benchmarks/scale.py [--repeats 3] [--steps 5] [--directory DIR] [--json FILE]

Trains the README's model on 1 MB, 100 MB and 2 GB of generated text in one file, and on 100 MB in
10,000 files. Measures the seconds until the first batch is drawn, the tokens a second of whole
steps with batches from the text, and the peak memory. Needs 2.3 GB of disk.
"""

import argparse
import functools
import random
import tempfile
import time
from pathlib import Path

import turns
from h2q.config import ModelConfig, TrainingConfig
from h2q.datasets.batches import epoch_batches
from h2q.datasets.corpus import open_corpus
from h2q.system.device import choose_dtype
from h2q.training.trainer import LocalModelTrainer

TEXTS = {  # bytes of a file, files
    "1 MB": (10**6, 1),
    "100 MB": (10**8, 1),
    "2 GB": (2 * 10**9, 1),
    "100 MB in 10,000 files": (10**4, 10**4),
}
BASELINE = "1 MB"
PIECE_BYTES = 10**6


def write_text(directory: Path, size: int, files: int) -> None:
    """``files`` files of ``size`` bytes: words in random order, no two pieces alike."""
    directory.mkdir()
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefgh", k=generator.randint(2, 9))) for _ in range(2000)]
    base = " ".join(generator.choices(words, k=2 * PIECE_BYTES // 6)).encode()[: 2 * PIECE_BYTES]
    for number in range(files):
        with (directory / f"{number:05}.txt").open("wb") as file:
            for _ in range(max(1, size // PIECE_BYTES)):
                begin = generator.randrange(PIECE_BYTES)
                file.write(b"%020d " % generator.getrandbits(64))
                file.write(base[begin : begin + min(size, PIECE_BYTES) - 21])


def contestant(path: Path, steps: int):
    output = Path(tempfile.mkdtemp(dir=path.parent))
    started = time.perf_counter()
    model_config, config = ModelConfig(), TrainingConfig()
    corpus = open_corpus(
        path,
        output,
        context_length=model_config.context_length,
        validation_fraction=config.validation_fraction,
    )
    shape = (model_config.context_length, config.batch_size, config.seed, 0)
    batches = epoch_batches(corpus.train, *shape)
    first = next(batches)
    print(f"{path.name}: {time.perf_counter() - started:.2f} s to the first batch", flush=True)
    trainer = LocalModelTrainer(
        corpus, output, model_config, config, dtype=choose_dtype("auto", "cpu")
    )
    trainer.train_step(*first)

    def turn() -> int:
        tokens = 0
        for _ in range(steps):
            batch = next(batches)
            trainer.train_step(*batch)
            tokens += batch[0].numel()
        return tokens

    return turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="steps of each text a repeat")
    parser.add_argument("--directory", type=Path, help="where the texts are written meanwhile")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        contestants = {}
        for name, (size, files) in TEXTS.items():
            path = Path(directory) / name.replace(" ", "_").replace(",", "")
            write_text(path, size, files)
            contestants[name] = functools.partial(contestant, path, arguments.steps)
        results = turns.take_turns(contestants, arguments.repeats)
    turns.print_table(results, BASELINE, "tokens/s")
    turns.write_report(arguments.json, tokens_per_second=results)


if __name__ == "__main__":
    main()
