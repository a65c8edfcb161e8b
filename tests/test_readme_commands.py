"""Every command of the README, run in its order in one directory, with a little text."""

import re

import pytest

from conftest import chat, make_text, small_settings, train
from h2q.config import CHECKPOINT_DIR, MODEL_PATH
from test_documentation import commands, read

SCRIPTS = {"local_training_system.py": train, "local_inference_demo.py": chat}
TYPED = "你好\nquit\n"


def calls() -> list[tuple[str, str]]:
    """(script, arguments) of each; the part that makes the environment is the installer's."""
    pattern = re.compile(r"(local_\w+\.py)(.*)")
    return [
        match.groups() for line in commands(read("README.md")) if (match := pattern.search(line))
    ]


def shortened(arguments: str, small: list[str]) -> list[str]:
    """What makes a run short, behind the README's own arguments, of which the last one counts."""
    result = arguments.split()
    if "--mode evolve" in arguments:
        result += ["--cycles", "1"]
    if "--config" in arguments:
        return [*result, "--max_minutes", "0.02"]
    if "--max_minutes" in arguments:
        result += ["--max_minutes", "0.02"]
    return [*result, *small]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("readme")
    for folder in ("data/training_data", "data/knowledge_base"):
        (directory / folder).mkdir(parents=True)
    text = directory / "data" / "training_data" / "mine.txt"
    text.write_text(make_text(12_000), encoding="utf-8")
    passages = "\n\n".join(make_text(400, seed) for seed in range(10, 16))
    (directory / "data" / "knowledge_base" / "p.txt").write_text(passages, encoding="utf-8")
    [settings] = re.findall(r"```toml\n(.*?)```", read("README.md"), re.S)
    (directory / "h2q.toml").write_text(settings, encoding="utf-8")
    return directory


def test_every_command_works(place):
    pytest.importorskip("safetensors")
    small = small_settings(place.parent)
    done = calls()
    assert len(done) >= 8
    for script, arguments in done:
        trains = script == "local_training_system.py"
        given = shortened(arguments, small) if trains else [*arguments.split(), "--max_length", "8"]
        result = SCRIPTS[script](*given, cwd=place, input=TYPED)
        assert result.returncode == 0, (script, given, result.stderr)
        assert result.stdout
    assert (place / MODEL_PATH).exists()
    assert (place / CHECKPOINT_DIR / "previous").is_dir()
    names = {path.name for path in (place / "h2q_export").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= names


def test_both_readmes_have_the_same_settings_file():
    first, second = (
        [re.sub("#.*", "#", line) for line in re.findall(r"```toml\n(.*?)```", read(name), re.S)]
        for name in ("README.md", "README.en.md")
    )
    assert first == second
