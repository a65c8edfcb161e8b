"""The rows that are loops: over every system call of a run, every byte of a file, many seeds.

Each function yields the name of a trial and what went wrong in it (an empty string: nothing).
``share`` is the share of the trials that are made, evenly spread; 1 is the full form.
"""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

from h2q.checkpoint import container
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import save_model
from h2q.checkpoint.saved_run import load_saved_run
from h2q.config import ModelConfig, SamplingConfig, TrainingConfig
from h2q.generation.inference import LocalInferenceModel
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import H2QError
from h2q.system.paths import CHECKPOINT_DIR, EVOLUTION_STATS, MODEL_PATH

from .nursery import CALLS, Nursery
from .trials import Runs, newest_healthy, state_on_disk, write_text

Trials = Iterator[tuple[str, str]]
_COUNTED = ",".join(CALLS.values())


def positions(count: int, share: float) -> list[int]:
    """``share`` of the numbers 1 to ``count``, evenly spread, the first and the last among them."""
    chosen = max(min(count, 2), round(share * count))
    if chosen < 2:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (chosen - 1)) for i in range(chosen)})


def calls_of(tally: dict[str, int]) -> dict[str, int]:
    """The number of calls of each kind, under any of the names that a processor has for it."""
    return {
        call: max((tally.get(name.strip("?"), 0) for name in names.split(",")), default=0)
        for call, names in CALLS.items()
    }


def killed_at_random_moments(runs: Runs, seeds: int) -> Trials:
    """Row 1: up to three kills from outside, at any moment of the run."""
    for seed in range(seeds):
        generator = random.Random(seed)
        output, acknowledged = runs.fresh(), []
        for turn in range(generator.randint(1, 3)):
            moment = generator.uniform(0.0, 0.6)
            ending = runs.train(output, resume=turn > 0, kill_after=moment)
            acknowledged += ending.acknowledged
        yield f"seed {seed}", runs.finish(output, acknowledged)


def killed_in_every_call(
    runs: Runs, share: float, base: Path | None = None, calls: tuple = tuple(CALLS)
) -> Trials:
    """Row 2: a kill at the N-th write, fsync, rename, unlink or link of a run, for every N.

    With ``base``, a directory from which the run has to recover, this is row 4.
    """
    resume = base is not None
    known = newest_healthy(base) if resume else 0
    counts = calls_of(runs.train(runs.fresh(base), resume=resume, count=_COUNTED).tally)
    for call in calls:
        for number in positions(counts[call], share):
            output = runs.fresh(base)
            injection = f"{call}:signal=KILL:when={number}"
            ending = runs.train(output, resume=resume, inject=injection)
            problem = "" if ending.code == -9 else f"was not killed: {ending.code} {ending.stderr}"
            acknowledged = [known, *ending.acknowledged]
            yield f"{call} {number}", problem or runs.finish(output, acknowledged)


def half_recovered(runs: Runs) -> Path:
    """A run that was killed within a save; its newest checkpoint is damaged too."""
    base = runs.directory / "half recovered"
    shutil.rmtree(base, ignore_errors=True)
    output = runs.fresh()
    ending = runs.train(output, inject="rename:signal=KILL:when=8")
    assert ending.code == -9
    output.rename(base)
    newest = list(CheckpointDirectory(base / CHECKPOINT_DIR).steps().values())[-1]
    data = newest.read_bytes()
    newest.write_bytes(data[: len(data) // 2])
    return base


def failed_in_every_call(runs: Runs, share: float, calls: tuple = tuple(CALLS)) -> Trials:
    """Row 6: the N-th call fails with EIO (writes with ENOSPC too).

    A save whose fsync or rename failed is never acknowledged. Whatever fails, one line says so, and
    the run can be resumed.
    """
    tally = calls_of(runs.train(runs.fresh(), count=_COUNTED).tally)
    errors = [*((call, "EIO") for call in CALLS), ("write", "ENOSPC")]
    for call, error in (pair for pair in errors if pair[0] in calls):
        for number in positions(tally[call], share):
            output = runs.fresh()
            ending = runs.train(output, inject=f"{call}:error={error}:when={number}")
            lines = ending.stderr.strip().splitlines()
            problem = ""
            if ending.code not in (0, 1) or "Traceback" in ending.stderr:
                problem = f"ended with {ending.code}: {ending.stderr[-500:]}"
            elif ending.code == 1 and (len(lines) != 1 or str(output) not in lines[0]):
                problem = f"no line that names the file: {ending.stderr[-500:]}"
            elif ending.code == 0 and call in ("fsync", "rename"):
                problem = "a failure was passed over"
            yield f"{call} {number} {error}", problem or runs.finish(output, ending.acknowledged)


def damaged_at_every_place(runs: Runs, share: float, step_bytes: int = 64) -> Trials:
    """Row 16: the newest checkpoint with a byte flipped, or cut, at every 64th place."""
    output = runs.fresh()
    runs.train(output)
    directory = CheckpointDirectory(output / CHECKPOINT_DIR)
    (*_, (older, other), (_, newest)) = directory.steps().items()
    healthy, (tensors, metadata) = newest.read_bytes(), container.load(newest)
    load, loaded = container.load, container.load(other)

    def load_but_once(path: Path):  # the older one is the same every time
        return loaded if path == other else load(path)

    aside = newest.with_name(newest.name + ".damaged")
    for place in positions(len(healthy) // step_bytes, share):
        at = (place - 1) * step_bytes
        flipped = healthy[:at] + bytes([healthy[at] ^ 0x40]) + healthy[at + 1 :]
        for kind, damaged in (("flipped", flipped), ("cut", healthy[:at])):
            newest.unlink(missing_ok=True)  # best.pt is the same file
            newest.write_bytes(damaged)
            heard = _Listening()
            with patch.object(container, "load", load_but_once):
                found = load_saved_run(output, heard)
            problem = ""
            if found.path == newest:
                same = metadata["position"] == asdict(found.position)
                loaded_tensors = found.tensors.for_file()
                same = same and all(tensors[name].equal(loaded_tensors[name]) for name in tensors)
                problem = "" if same else "other contents were loaded"
            elif found.position.step != older or heard.keys != ["resume.damaged"]:
                problem = f"went on from {found.path.name} and said {heard.keys}"
            elif not aside.exists() or aside.read_bytes() != damaged or newest.exists():
                problem = "the damaged file was not kept aside"
            aside.unlink(missing_ok=True)
            yield f"{kind} at {at}", problem


class _Listening(Console):
    def __init__(self):
        super().__init__(silent=True)
        self.keys = []

    def warn(self, key, **values):
        self.keys.append(key)


class Evolutions:
    """Cycles of evolution, through the command line, from a model that has learnt nothing.

    ``first`` is code that every disturbed cycle executes first: an intended defect.
    """

    first = ""

    # A cycle of little text, because the promotion is tested, not the learning.
    FIRST = (
        "import h2q.cli.settings as c; make = c.EvolutionConfig\n"
        "c.EvolutionConfig = lambda **v: make(**{**v, 'cycle_bytes': 4_000})\n"
    )

    def __init__(self, nursery: Nursery, directory: Path):
        self.nursery = nursery
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        write_text(directory / "text.txt", 6000)
        (directory / "knowledge").mkdir()
        texts = [write_text(directory / "part", 300, seed).read_text() for seed in range(1, 40)]
        (directory / "knowledge" / "passages.txt").write_text("\n\n".join(texts))
        config = ModelConfig(
            embed_dim=48, n_heads=2, n_layers=2, context_length=64, feedforward_dim=96
        )
        base = directory / "base"
        save_model(
            base / MODEL_PATH,
            Transformer(config).initialize(0),
            {"training": asdict(TrainingConfig(lr=5e-3, save_interval_seconds=1e9))},
        )
        self.champion = (base / MODEL_PATH).read_bytes()
        self._continued = set()  # states on disk that were evolved again and lost nothing
        straight = self.fresh()
        ending = self.evolve(straight)
        if ending.code != 0:
            raise RuntimeError(ending.stderr)
        self.promoted, _ = container.load(straight / MODEL_PATH)
        self.stderr = ending.stderr

    def fresh(self) -> Path:
        output = self.directory / "evolving"
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(self.directory / "base", output)
        return output

    def evolve(self, output: Path, **options):
        return self.nursery.train(
            *("--mode", "evolve", "--cycles", 1, "--output_dir", output, "--dtype", "float32"),
            *("--data_dir", self.directory / "text.txt"),
            *("--knowledge_dir", self.directory / "knowledge"),
            **{**options, "first": self.FIRST + options.get("first", self.first)},
        )

    def finish(self, output: Path) -> str:
        """What is wrong with the champion after a kill; an empty string if nothing is."""
        path = output / MODEL_PATH
        try:
            found, _ = container.load(path)
        except H2QError as error:
            return f"no champion: {error}"
        new = found.keys() == self.promoted.keys()
        new = new and all(found[name].equal(self.promoted[name]) for name in found)
        if not new and path.read_bytes() != self.champion:
            return "the champion is neither the old one nor the new one"
        models = [p.name for p in path.parent.glob("*.pt") if "previous" not in p.name]
        if models != [path.name]:
            return f"more than one champion: {models}"
        state = state_on_disk(output)
        if state in self._continued:
            return ""
        again = self.evolve(output, first="")
        if again.code != 0:
            return f"evolving again ended with {again.code}: {again.stderr[-500:]}"
        stats = json.loads((output / EVOLUTION_STATS).read_text(encoding="utf-8"))
        if stats["total_evolutions"] not in (1, 2):
            return f"{stats['total_evolutions']} evolutions were counted"
        LocalInferenceModel(path).generate("the", SamplingConfig(max_length=3))
        self._continued.add(state)
        return ""


def killed_in_a_promotion(evolutions: Evolutions, share: float, calls=tuple(CALLS)) -> Trials:
    """Row 25: row 2 over a cycle of evolution that ends with a promotion."""
    output = evolutions.fresh()
    tally = evolutions.evolve(output, count=_COUNTED).tally
    if (output / MODEL_PATH).read_bytes() == evolutions.champion:
        yield "promotion", "there was none"
    counts = calls_of(tally)
    for call in calls:
        for number in reversed(positions(counts[call], share)):  # the promotion is near the end
            output = evolutions.fresh()
            ending = evolutions.evolve(output, inject=f"{call}:signal=KILL:when={number}")
            problem = "" if ending.code == -9 else f"was not killed: {ending.code} {ending.stderr}"
            yield f"{call} {number}", problem or evolutions.finish(output)
