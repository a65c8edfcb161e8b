"""Every command of the README and of the pages in ``docs``, run in one directory, with a little text."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH
from tests.conftest import REPOSITORY, make_text, small_settings
from tests.test_documentation import PAIRS, blocks, commands, read

RUN_ALL = """
import io, json, sys
from h2q.cli import main as cli

mains = {"local_training_system.py": cli.train_main, "local_inference_demo.py": cli.chat_main}
for script, arguments in json.loads(sys.argv[1]):
    sys.stdin = io.StringIO("你好\\nquit\\n")
    sys.argv[0] = script
    code = mains[script](arguments)
    assert code == 0, (script, arguments, code)
"""


FACT = {"relation": "capital_of", "object": "Somewhere", "aliases": [], "lang": "en"}


def calls() -> list[tuple[str, str]]:
    """(script, arguments) of each distinct command, in the order of the documents, without the part
    that makes the environment. The other language has the same commands."""
    pattern = re.compile(r"(local_\w+\.py)(.*)")
    found = [
        match.groups()
        for chinese, _ in PAIRS
        for line in commands(read(chinese))
        if not line.startswith("#") and (match := pattern.search(line))
    ]
    return list(dict.fromkeys(found))


def shortened(arguments: str, small: list[str]) -> list[str]:
    """Arguments that make a run short, after the README's own: of equal flags the last counts."""
    result = shlex.split(arguments)
    if "--mode evolve" in arguments:
        result += ["--cycles", "1"]
    if "--config" in arguments:
        return [*result, "--max_minutes", "0.02"]
    if "--max_minutes" in arguments:
        result += ["--max_minutes", "0.02"]
    return [*result, *small]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("readme")
    for folder in ("data/training_data", "data/knowledge_base"):
        (directory / folder).mkdir(parents=True)
    text = directory / "data" / "training_data" / "mine.txt"
    text.write_text(make_text(12_000), encoding="utf-8")
    passages = "\n\n".join(make_text(400, seed) for seed in range(10, 16))
    (directory / "data" / "knowledge_base" / "p.txt").write_text(passages, encoding="utf-8")
    (directory / "data" / "knowledge_base" / "f.jsonl").write_text(
        "".join(
            json.dumps({**FACT, "id": f"f{number}", "subject": f"City {number}"}) + "\n"
            for number in range(12)
        )
    )
    (directory / "prompts.txt").write_text("人工智能是\nthe cat\n", encoding="utf-8")
    (directory / "app.log").write_text(make_text(400), encoding="utf-8")
    [settings] = blocks(read("docs/zh/options.md"), "toml")
    (directory / "h2q.toml").write_text(settings, encoding="utf-8")
    return directory


def test_every_command_works(place):
    """In one process, which loads PyTorch once; ``tests/cli`` runs the scripts themselves."""
    pytest.importorskip("safetensors")
    small = small_settings(place.parent)
    done = [
        (script, shortened(arguments, small))
        if script == "local_training_system.py"
        else (script, [*shlex.split(arguments), "--max_length", "8"])
        for script, arguments in calls()
    ]
    assert len(done) >= 12
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "plain_install")])
    result = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(done)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for said in (
        "🎉 训练完成",
        "没有写入任何文件",
        "🧬 进化统计",
        "💬 深度学习",
        "👋 再见",
        "已导出",
    ):
        assert said in result.stdout
    assert (place / MODEL_PATH).exists()
    assert (place / CHECKPOINT_DIR / "previous").is_dir()
    names = {path.name for path in (place / "h2q_export").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= names
