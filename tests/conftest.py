"""What all tests share: one thread, a tiny model, a little text, and ways to run the scripts."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

# Before torch is imported: the same number of threads here and in every subprocess.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("H2Q_LANG", None)
# Under nohup it would be ignored here, and so by the programs under test.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import pytest

from h2q.config import ModelConfig
from tests.forks import fork_server

REPOSITORY = Path(__file__).resolve().parent.parent
CORPORA = REPOSITORY.parent / "shared" / "corpora"
CHINESE = "今天天气很好。我们去公园散步，看到许多美丽的花，孩子们在那里玩，大家都说：“真好！”\n"
WORDS = ["the", "cat", "sat", "on", "a", "mat", "人工智能", "机器学习", "深度学习", "学习", "数据"]


# The slowest first: one that is begun last would keep a single worker busy at the end.
SLOWEST = ["test_proof", "test_engine", "test_kill", "test_resume", "test_main"]


def pytest_collection_modifyitems(items: list) -> None:
    ranks = {name: rank for rank, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.fixture(autouse=True)
def chinese():
    """Each test begins with the default language."""
    from h2q.system.messages.catalogue import set_language

    set_language("zh")


@pytest.fixture
def tiny_model_config() -> ModelConfig:
    """About 33 thousand parameters."""
    return ModelConfig(
        embed_dim=32, n_heads=2, n_layers=2, context_length=64, feedforward_dim=64, dropout=0.1
    )


def make_text(size_bytes: int, seed: int = 0) -> str:
    """Simple sentences of Chinese and English words, at most ``size_bytes`` bytes of UTF-8."""
    generator = random.Random(seed)
    lines, size = [], 0
    while True:
        line = " ".join(generator.choices(WORDS, k=8)) + ".\n"
        size += len(line.encode("utf-8"))
        if size > size_bytes:
            return "".join(lines)
        lines.append(line)


@pytest.fixture
def text_dir(tmp_path: Path) -> Path:
    """A directory with 12 kB of text in two files."""
    directory = tmp_path / "text"
    directory.mkdir()
    for number in range(2):
        (directory / f"{number}.txt").write_text(make_text(6000, number), encoding="utf-8")
    return directory


def corpus_file(name: str) -> Path:
    """A file of real text that lies beside the repository; the test is skipped without it."""
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"the corpus {name} is not there")
    return path


def run_script(name: str | Path, *arguments, cwd: Path, **options) -> subprocess.CompletedProcess:
    """Runs one of the two scripts as a person would, in ``cwd``; output is captured as text.

    Without matplotlib, unless an environment is given: a report takes seconds.
    """
    command = [sys.executable, str(REPOSITORY / name), *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = {**streams, "encoding": "utf-8", "timeout": 300, **options}
    options.setdefault("env", plain_environment())
    return subprocess.run(command, cwd=cwd, check=False, **options)


def plain_environment() -> dict[str, str]:
    """The environment variables of an installation without extras."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "tests" / "plain_install")}


def run_python(code: str) -> subprocess.CompletedProcess:
    """Runs ``code`` in a process of its own, which must end well; output is captured as text."""
    command = [sys.executable, "-c", code]
    options = {"capture_output": True, "encoding": "utf-8", "timeout": 120}
    run = subprocess.run(command, cwd=REPOSITORY, check=False, **options)
    assert run.returncode == 0, run.stderr
    return run


def run_file(file: Path, *arguments, cwd: Path, **options) -> subprocess.CompletedProcess:
    """``run_script`` for any file. Where forks are possible, it saves the seconds in which PyTorch
    is loaded; ``forks`` says how, and what it cannot show."""
    if sys.platform != "linux":
        return run_script(file, *arguments, cwd=cwd, **options)
    options.setdefault("env", plain_environment())
    return fork_server().run(file, *arguments, cwd=cwd, **options)


def train(*arguments, cwd: Path, **options) -> subprocess.CompletedProcess:
    return run_file(REPOSITORY / "local_training_system.py", *arguments, cwd=cwd, **options)


def chat(*arguments, cwd: Path, **options) -> subprocess.CompletedProcess:
    return run_file(REPOSITORY / "local_inference_demo.py", *arguments, cwd=cwd, **options)


def small_settings(directory: Path) -> list[str]:
    """Flags with which ``train`` quickly makes a model of 37 thousand parameters."""
    path = directory / "small.toml"
    path.write_text(
        "[model]\nembed_dim = 32\nn_heads = 2\nn_layers = 2\ncontext_length = 256\n"
        "feedforward_dim = 64\n"
    )
    return ["--config", str(path)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty directory for text."""
    path = tmp_path / "text"
    path.mkdir()
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The directory of transcoded text, which does not exist yet."""
    return tmp_path / "cache"


def text_of(size: int, seed: int = 0) -> bytes:
    """``size`` bytes of ASCII text without repetition."""
    return bytes(random.Random(seed).choices(b"abcdefghijklmnopqrstuvwxyz      .\n", k=size))


def bytes_of(text) -> bytes:
    """What a scanned file contributes."""
    return text.stored.read_bytes()[text.offset : text.offset + text.size]


@pytest.fixture
def unrounded(monkeypatch):
    """Generation uses the model's own weights, not rounded ones, so both can be compared."""
    from torch.nn.functional import linear

    def product(weight, bias, nonnegative=False):
        return lambda rows: linear(rows, weight, bias)

    monkeypatch.setattr("h2q.model.decoder.integer_product", product)


@pytest.fixture(params=[True, False], ids=["fbgemm", "float32"])
def each_kernel(request, monkeypatch):
    """Runs a test twice: with the products of FBGEMM, and as if it were missing."""
    from h2q.model import integer_linear

    if not request.param:
        monkeypatch.setattr(integer_linear, "fbgemm_multiplies", lambda: False)
    elif not integer_linear.fbgemm_multiplies():
        pytest.skip("this PyTorch is without FBGEMM")


def memory_of(text: bytes, order: int = 5):
    """A memory of ``text`` that is mixed in with the same weights everywhere."""
    from h2q.memory.counts import Counts
    from h2q.memory.mixture import Memory, neutral_gate
    from h2q.memory.table import NgramTable, packed

    counts = Counts().add(lambda start, length: text[start : start + length], len(text))
    return Memory(NgramTable(packed(counts.orders(), order, 2**24)), neutral_gate())
