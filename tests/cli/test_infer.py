"""The modes of the inference program as a person runs them."""

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest
import torch

from h2q.checkpoint.model_file import load_model, save_model
from h2q.cli.infer import DEMO_PROMPTS, infer
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.files import write_json
from h2q.system.messages.catalogue import set_language
from h2q.system.paths import MODEL_PATH, OutputPaths
from tests.cli.conftest import fails, inference, save_small_model
from tests.conftest import REPOSITORY, chat, make_text, memory_of, run_script, train


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


def test_demo_without_a_model_says_how_to_train(tmp_path):
    fails(chat(cwd=tmp_path), "local_training_system.py --mode train")


def write_bad_model(path, kind, good, small_config):
    """Writes a file that is nearly the model ``good``, or no model at all."""
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


# In this process.


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with a model that has learnt nothing."""
    monkeypatch.chdir(tmp_path)
    save_small_model(tmp_path)
    return tmp_path


def told(capsys, *arguments, length=4) -> str:
    """What one call prints on stdout."""
    call = inference("--max_length", length, *arguments)
    infer(call, Console(silent=call.as_json))
    return capsys.readouterr().out


def test_each_prompt_of_the_demo_is_continued(place, capsys):
    said = told(capsys)
    assert [said.count(f"💬 {prompt}\n") for prompt in DEMO_PROMPTS["zh"]] == [1] * 4
    assert "还没有" in said.split(DEMO_PROMPTS["zh"][-1])[-1]


def test_a_prompt_takes_the_place_of_the_four(place, capsys, monkeypatch):
    monkeypatch.setattr("h2q.cli.infer.read_prompt", lambda text: {"-": "piped"}.get(text, text))
    for typed, prompt in (("mine", "mine"), ("-", "piped")):
        said = told(capsys, "--prompt", typed)
        assert said.count("💬") == 1 and f"💬 {prompt}\n{prompt}" in said


def test_json_has_the_answers_of_the_demo_and_nothing_else(place, capsys):
    lines = [json.loads(line) for line in told(capsys, "--json", "--seed", 5).splitlines()]
    assert sorted(line["prompt"] for line in lines) == sorted(DEMO_PROMPTS["zh"])
    assert {line["seed"] for line in lines} == {5, 6, 7, 8}
    plain = told(capsys, "--seed", 5)
    for line in lines:
        assert f"{line['prompt']}{line['text']}" in plain


def test_prompts_of_a_file_are_answered(place, capsys):
    (place / "p.txt").write_text("one\ntwo\n")
    lines = told(capsys, "--prompts_file", "p.txt", "--json").splitlines()
    assert {json.loads(line)["prompt"] for line in lines} == {"one", "two"}
    assert "💬 one\none" in told(capsys, "--prompts_file", "p.txt")


def test_a_conversation_begins_with_the_prompt(place, capsys, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda shown: "quit")
    assert "hello" in told(capsys, "--mode", "interactive", "--prompt", "hello")


def test_files_and_lines_are_scored(place, capsys):
    (place / "a.txt").write_text("one\ntwo\n")
    (place / "b.txt").touch()
    flags = ("--mode", "score", "a.txt", "b.txt")
    whole = told(capsys, *flags).splitlines()
    assert len(whole) == 2 and "a.txt" in whole[0] and "b.txt" in whole[1]
    with_lines = told(capsys, *flags, "--lines").splitlines()
    assert [line.split("\t")[1:] for line in with_lines[:2]] == [["1", "one"], ["2", "two"]]
    assert with_lines[2:] == whole
    objects = [json.loads(line) for line in told(capsys, *flags, "--lines", "--json").splitlines()]
    assert [o.get("line") for o in objects] == [1, 2, None, None]
    assert [o["bytes"] for o in objects] == [4, 4, 8, 0]
    assert list(objects[0]) == ["file", "line", "bytes", "bits_per_byte", "perplexity", "text"]
    assert objects[3] == {"file": "b.txt", "bytes": 0, "bits_per_byte": None, "perplexity": None}
    assert float(with_lines[0].split("\t")[0]) == pytest.approx(
        objects[0]["bits_per_byte"], abs=1e-4
    )


def test_a_model_is_exported(place, capsys):
    pytest.importorskip("safetensors")
    said = told(capsys, "--mode", "export", "--export_dir", "out", "--format", "transformers")
    assert "transformers" in said and "out/model.safetensors" in said
    assert (place / "out" / "tokenizer.json").exists()


def test_export_says_that_the_memory_stays_here(place, capsys):
    pytest.importorskip("safetensors")
    save_small_model(place, {"eval_loss": 1.5, "memory_eval_loss": 1.25})
    said = told(capsys, "--mode", "export", "--export_dir", "out")
    assert "1.5000" in said and "1.2500" in said and "Transformer" in said


def test_the_memory_can_be_switched_off(place, capsys):
    """Then a text and its score are those of the Transformer alone."""
    model, provenance = load_model(place / MODEL_PATH)
    said = told(capsys, "--prompt", "the cat", length=40)
    (place / "t.txt").write_text("the cat sat on the mat. " * 20)
    scored = told(capsys, "--mode", "score", "t.txt")
    model.memory = memory_of(b"the cat sat on the mat. " * 50)
    save_model(place / MODEL_PATH, model, provenance)
    off = ("--memory", "off")
    assert told(capsys, "--prompt", "the cat", length=40) != said
    assert told(capsys, "--mode", "score", "t.txt") != scored

    def text_of(printed):
        return printed.splitlines()[:4]

    assert text_of(told(capsys, "--prompt", "the cat", *off, length=40))[1:3] == text_of(said)[1:3]
    assert told(capsys, "--mode", "score", "t.txt", *off) == scored


def test_the_demo_speaks_the_language_of_the_program(place, capsys):
    set_language("en")
    said = told(capsys)
    assert all(f"💬 {prompt}\n" in said for prompt in DEMO_PROMPTS["en"])


def test_statistics_are_those_beside_the_model(place, capsys):
    paths = OutputPaths(place)
    write_json(
        paths.training_log,
        [{"epoch": 9, "train_loss": 2.5, "eval_loss": 1.5, "eval_bits_per_byte": 1.25}],
    )
    said = told(capsys, "--model", paths.model, "--prompt", "x")
    assert "第 9 轮" in said
    paths.evolution_stats.write_text("[]")
    infer(inference("--prompt", "x", "--max_length", 1), Console())
    assert "evolution_stats.json" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{}", '[{"epoch": "x"}]', "rubbish"])
def test_a_damaged_log_is_named_and_the_demo_goes_on(place, capsys, content):
    (place / "training_log.json").write_text(content)
    infer(inference("--prompt", "x", "--max_length", 2), Console())
    out, err = capsys.readouterr()
    assert "💬 x" in out and "🧬 还没有进化统计" in out
    [line] = err.strip().splitlines()
    assert "training_log.json" in line
