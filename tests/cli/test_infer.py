"""The modes of the inference program as a person runs them."""

import os
import pty
import re
import select
import subprocess
import sys

import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer
from h2q.system.paths import MODEL_PATH
from tests.cli.conftest import fails
from tests.conftest import REPOSITORY, chat, make_text, run_script, train


def without_speed(output):
    return re.sub(r"（\d+ 字节，\d+ 字节/秒）", "", output)


def test_demo_continues_four_prompts_and_shows_statistics(workplace):
    directory, _ = workplace
    options = ("--mode", "demo", "--max_length", 30)
    result = run_script("local_inference_demo.py", *options, cwd=directory)
    assert result.returncode == 0, result.stderr
    places = [
        result.stdout.index(f"💬 {p}\n{p}")
        for p in ("人工智能是", "机器学习", "量子计算可以", "深度学习")
    ]
    assert places == sorted(places)
    assert "📈 最近一次训练: 第 2 轮" in result.stdout
    assert "🧬 还没有进化统计" in result.stdout
    answers = re.findall(r"💬 (.*)\n\1(.*)", result.stdout)
    assert len({text for _, text in answers}) == 4, "each has random numbers of its own"
    by_default = chat("--max_length", 30, cwd=directory)
    assert without_speed(by_default.stdout) == without_speed(result.stdout)


def test_seed_fixes_the_text(workplace):
    directory, _ = workplace

    def text(seed):
        result = chat("--prompt", "机器", "--seed", seed, "--temperature", 2, cwd=directory)
        return result.stdout.split("💬 机器\n")[1].split("   （")[0]

    assert text(1) == text(1) != text(2)


@pytest.mark.parametrize("word", ["quit", "exit", "q", " QUIT ", ""])
def test_interactive_leaves(workplace, word):
    directory, _ = workplace
    typed = "你好\n" + (word + "\n" if word else "")
    result = chat("--mode", "interactive", "--max_length", 20, input=typed, cwd=directory)
    assert result.returncode == 0, result.stderr
    assert "再见" in result.stdout
    assert result.stdout.count("你好") == 1


def test_interactive_in_a_terminal_as_a_person_types(workplace):
    """Ctrl-C stops the answer, not the program; Ctrl-D leaves."""
    directory, _ = workplace
    master, slave = pty.openpty()
    command = [sys.executable, str(REPOSITORY / "local_inference_demo.py")]
    options = ["--mode", "interactive", "--max_length", "1000000"]
    with subprocess.Popen(
        command + options,
        cwd=directory,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        screen = b""

        def see(pattern):
            nonlocal screen
            while not re.search(pattern, screen.decode("utf-8", "ignore")):
                assert select.select([master], [], [], 120)[0], screen.decode("utf-8", "ignore")
                screen += os.read(master, 4096)
            screen = b""

        see("👤")
        os.write(master, "机器学习\n".encode())
        see(r"机器学习[\s\S]*机器学习.{20}")
        process.send_signal(2)
        see("👤")
        os.write(master, b"\x04")
        see("再见")
        os.close(master)
        assert process.wait(60) == 0


def test_a_damaged_log_is_named_and_the_demo_goes_on(tmp_path, tiny_model_config):
    save_model(tmp_path / MODEL_PATH, Transformer(tiny_model_config).initialize(0), {})
    for content in ("[]", "{}", '[{"epoch": "x"}]', "rubbish"):
        (tmp_path / "training_log.json").write_text(content)
        result = chat("--max_length", 2, "--prompt", "x", cwd=tmp_path)
        assert result.returncode == 0
        assert "training_log.json" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_demo_without_a_model_says_how_to_train(tmp_path):
    fails(chat(cwd=tmp_path), "local_training_system.py --mode train")


def write_bad_model(path, kind, good, small_config):
    """A file that is nearly the model ``good``, or not at all."""
    middle = len(good) // 2
    if kind == "foreign":
        torch.save({"weight": torch.ones(3)}, path)
    elif kind == "dimensions":
        model = Transformer(small_config).initialize(0)
        model.config = ModelConfig()
        save_model(path, model, {})
    else:
        flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
        contents = {
            "truncated": good[:middle],
            "empty": b"",
            "text": b"no model",
            "flipped": flipped,
        }
        path.write_bytes(contents[kind])


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "foreign", "flipped", "dimensions"])
def test_a_model_file_that_cannot_be_used(workplace, tmp_path, kind, tiny_model_config):
    directory, _ = workplace
    path = tmp_path / "bad.pt"
    write_bad_model(path, kind, (directory / MODEL_PATH).read_bytes(), tiny_model_config)
    before = path.read_bytes()
    for mode in ("demo", "interactive"):
        fails(chat("--mode", mode, "--model", path, cwd=tmp_path, input=""), "bad.pt")
    # An evolution does not replace it by a new one either.
    (tmp_path / "h2q_project").mkdir()
    path.rename(tmp_path / MODEL_PATH)
    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    fails(train("--mode", "evolve", "--data_dir", "t.txt", cwd=tmp_path), "h2q_trained_model.pt")
    assert (tmp_path / MODEL_PATH).read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["--temperature", "-1"], ["--max_length", "0"], ["--mode", "x"]]
)
def test_wrong_use_of_the_demo(tmp_path, arguments):
    fails(chat(*arguments, cwd=tmp_path), arguments[1])
