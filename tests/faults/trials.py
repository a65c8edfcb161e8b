"""The parts of a trial: a small text, a run, and the check that two runs ended the same."""

import hashlib
import json
import random
import shutil
from pathlib import Path

from h2q.checkpoint import container
from h2q.checkpoint.directory import CheckpointDirectory
from h2q.system.files import LOCK_NAME
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH, TRAINING_LOG

from .nursery import Ending, Nursery

WORDS = ["the", "cat", "sat", "on", "a", "mat", "人工智能", "机器学习", "深度学习", "学习", "数据"]
_CLOCKS = {"seconds", "epoch_seconds", "step_seconds", "tokens_per_second"}


def write_text(path: Path, size: int = 1400, seed: int = 0) -> Path:
    """About ``size`` bytes of words; 1,400 bytes are two batches an epoch for the small model."""
    generator = random.Random(seed)
    words, written = [], 0
    while written < size:
        words.append(generator.choice(WORDS) + generator.choice([" ", " ", " ", "\n"]))
        written += len(words[-1].encode("utf-8"))
    path.write_text("".join(words), encoding="utf-8")
    return path


def arguments(text: Path, output: Path, *, resume: bool = False, epochs: int = 2) -> list:
    """The arguments of a training run of the small model."""
    command = ["--preset", "tiny", "--epochs", epochs, "--data_dir", text, "--output_dir", output]
    return [*command, "--dtype", "float32", *(["--resume"] if resume else [])]


def final_state(output: Path) -> dict[str, str]:
    """Digests of all that a finished run leaves: its newest checkpoint, log and model."""
    newest = list(CheckpointDirectory(output / CHECKPOINT_DIR).steps().values())[-1]
    tensors, metadata = container.load(newest)
    log = json.loads((output / TRAINING_LOG).read_text(encoding="utf-8"))
    model, provenance = container.load(output / MODEL_PATH)
    return {
        "tensors": _digest_tensors(tensors),
        "metadata": _digest_json(metadata),
        "log": _digest_json(log),
        "model": _digest_tensors(model),
        "provenance": _digest_json(provenance),
    }


def _digest_tensors(tensors: dict) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.numpy().tobytes())
    return whole.hexdigest()


def _digest_json(value) -> str:
    def timeless(item):
        if isinstance(item, dict):
            return {key: timeless(part) for key, part in item.items() if key not in _CLOCKS}
        return [timeless(part) for part in item] if isinstance(item, list) else item

    return hashlib.sha256(json.dumps(timeless(value), sort_keys=True).encode()).hexdigest()


def snapshot(directory: Path) -> dict[str, bytes]:
    """Every file below ``directory`` but the lock, with its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".h2q.lock"
    }


def state_on_disk(directory: Path) -> str:
    """A digest of everything that the next run can find below ``directory``.

    Clocks, the owner of the lock, and the contents of unfinished temporary files are left out,
    because nobody reads them. Directories with the same digest are resumed in the same way, so it
    is enough to resume one of them.
    """
    whole = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.name == LOCK_NAME or not path.is_file():
            whole.update(f"{name}\n".encode())
        elif path.name.endswith(".h2q.tmp"):  # .NAME.RANDOM.h2q.tmp
            whole.update(f"{Path(name).parent} {path.name.rsplit('.', 3)[0]}\n".encode())
        else:
            whole.update(f"{name} {_digest_of_file(path)}\n".encode())
    return whole.hexdigest()


def _digest_of_file(path: Path) -> str:
    data = path.read_bytes()
    try:
        if path.suffix == ".pt":
            tensors, metadata = container.load(path)
            return _digest_tensors(tensors) + _digest_json(metadata)
        if path.suffix == ".json":
            return _digest_json(json.loads(data))
    except (container.ModelFileError, ValueError):
        pass
    return hashlib.sha256(data).hexdigest()


class Runs:
    """Trainings on one text; they are disturbed and compared with one that was not disturbed.

    ``first`` is code that every disturbed run executes first: an intended defect.
    """

    first = ""

    def __init__(self, nursery: Nursery, directory: Path):
        self.nursery = nursery
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.text = write_text(directory / "text.txt")
        straight = nursery.train(*arguments(self.text, directory / "straight"))
        if straight.code != 0:
            raise RuntimeError(straight.stderr)
        self.expected = final_state(directory / "straight")
        self.steps = max(straight.acknowledged)
        self.saves = len(straight.acknowledged)
        self._resumed = set()  # states on disk that were resumed and lost nothing

    def fresh(self, base: Path | None = None) -> Path:
        """An output directory: none yet, or a copy of ``base``."""
        output = self.directory / "disturbed"
        shutil.rmtree(output, ignore_errors=True)
        if base is not None:
            shutil.copytree(base, output, symlinks=True)
        return output

    def train(self, output: Path, *, resume: bool = False, **options) -> Ending:
        options = {"first": self.first, **options}
        return self.nursery.train(*arguments(self.text, output, resume=resume), **options)

    def finish(self, output: Path, acknowledged: list[int]) -> str:
        """Resumes the run. Returns an empty string, or what was lost."""
        newest = newest_healthy(output)
        if newest < max(acknowledged, default=0):
            return f"the save of step {max(acknowledged)} is gone, {newest} is the newest"
        state = state_on_disk(output)
        if state in self._resumed:
            return ""
        resumed = self.train(output, resume=True, first="")
        if resumed.code != 0:
            return f"resuming ended with {resumed.code}: {resumed.stderr[-500:]}"
        found = final_state(output)
        different = [name for name in found if found[name] != self.expected[name]]
        if different:
            return f"different: {', '.join(different)}"
        if leftovers := [path.name for path in output.rglob("*.h2q.tmp")]:
            return f"left behind: {leftovers}"
        self._resumed.add(state)
        return ""


def newest_healthy(output: Path) -> int:
    """The step of the newest checkpoint that can be loaded; 0 where there is none."""
    found = CheckpointDirectory(output / CHECKPOINT_DIR).steps()
    return max((step for step, path in found.items() if _is_healthy(path)), default=0)


def _is_healthy(path: Path) -> bool:
    try:
        container.load(path)
    except container.ModelFileError:
        return False
    return True
