"""The two scripts as a person runs them: the README's commands, its lines, and bad input."""

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys

import pytest
import torch

from h2q.checkpoint.model_file import save_model
from h2q.config import ModelConfig
from h2q.model.transformer import Transformer
from h2q.system.paths import MODEL_PATH
from tests.conftest import (
    REPOSITORY,
    chat,
    corpus_file,
    make_text,
    run_script,
    small_settings,
    train,
)

EPOCH = r"📅 Epoch (\d+)/(\d+)\n-{40}\n"
BATCH = r"  批次 +(\d+) \| 损失: (\d+\.\d{4}) \| 困惑度: (\d+\.\d{2}) \| LR: (\d\.\d{6})\n"
EVALUATION = r"📊 评估损失: \d+\.\d{4} \| 困惑度: \d+\.\d{2}\n"
DONE = (
    r"\n🎉 训练完成！\n⏱️ 总训练时间: \d+\.\d{2} 秒\n📉 最终损失: \d+\.\d{4}\n"
    r"🎯 最终困惑度: \d+\.\d{2}\n"
)
STATISTICS = (
    r"\n🧬 进化统计:\n  🔬 总进化次数: \d+\n  ✅ 成功进化: \d+\n  ❌ 失败进化: \d+\n"
    r"  📊 平均改进: -?\d+\.\d{4}\n"
)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A directory where a tiny model was trained as the README says, and the run's output."""
    directory = tmp_path_factory.mktemp("first use")
    (directory / "data" / "training_data").mkdir(parents=True)
    text = directory / "data" / "training_data" / "mine.txt"
    text.write_bytes(make_text(16_000).encode("utf-8").ljust(16_000))
    (directory / "eval.txt").write_text(make_text(3000, 1), encoding="utf-8")
    result = run_script(
        *("local_training_system.py", "--mode", "train", "--epochs", 2, "--eval_dir", "eval.txt"),
        *("--lr", "1e-4", "--batch_size", 16),
        *small_settings(tmp_path_factory.mktemp("settings")),
        cwd=directory,
    )
    return directory, result


def test_lines_of_the_readme(workplace):
    """README 示例训练输出; with 4 batches an epoch the rates are 0.000096 and 0.000031."""
    _, result = workplace
    assert result.returncode == 0, result.stderr
    output = result.stdout
    assert re.findall(EPOCH, output) == [("1", "2"), ("2", "2")]
    batches = re.findall(BATCH, output)
    assert [(batch, rate) for batch, _, _, rate in batches] == [
        ("0", "0.000096"),
        ("0", "0.000031"),
    ]
    assert len(re.findall(EVALUATION, output)) == 2
    assert len(re.findall(DONE, output)) == 1
    loss, perplexity = map(float, batches[0][1:3])
    assert perplexity == pytest.approx(2.718281828**loss, rel=1e-3)
    assert "4 批" in output
    assert result.stderr == ""


def test_files_of_the_readme(workplace):
    """README 文件结构"""
    directory, _ = workplace
    written = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert written == {
        "data/training_data/mine.txt",
        "eval.txt",
        ".h2q.lock",
        "training_log.json",
        "h2q_project/h2q_trained_model.pt",
        "training_checkpoints/best.pt",
        "training_checkpoints/step_000000004.pt",
        "training_checkpoints/step_000000008.pt",
    }
    log = json.loads((directory / "training_log.json").read_text(encoding="utf-8"))
    assert [entry["epoch"] for entry in log] == [1, 2]


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


def test_a_planned_time_is_kept(tmp_path):
    """``--max_minutes`` on a real clock: the rate has decayed at the end."""
    (tmp_path / "text.txt").write_text(make_text(60_000), encoding="utf-8")
    result = train(
        *("--max_minutes", 0.05, "--preset", "fast", "--data_dir", "text.txt"),
        *small_settings(tmp_path),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "训练 0.05 分钟" in result.stdout
    log = json.loads((tmp_path / "training_log.json").read_text(encoding="utf-8"))
    assert log[-1]["learning_rate"] == 0.0


def test_evolve_shows_and_saves_the_statistics(workplace, tmp_path):
    """README 自我进化 and 进化统计, with the shipped knowledge base."""
    directory, _ = workplace
    result = train(
        *("--mode", "evolve", "--cycles", 1, "--lr", "1e-3", "--eval_dir", "eval.txt"),
        *("--max_minutes", 0.02),
        cwd=directory,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(STATISTICS, result.stdout)
    stats = json.loads((directory / "evolution_stats.json").read_text(encoding="utf-8"))
    assert (
        stats["total_evolutions"]
        == stats["successful_evolutions"] + stats["failed_evolutions"]
        == 1
    )
    demo = chat("--max_length", 5, cwd=directory)
    assert re.search(STATISTICS, demo.stdout)


def test_evolve_without_a_model_trains_one_first(tmp_path):
    """It says so, reads the text once, and goes on with the cycles."""
    (tmp_path / "t.txt").write_text(make_text(12_000), encoding="utf-8")
    (tmp_path / "kb").mkdir()
    passages = "\n\n".join(make_text(400, seed) for seed in range(10, 16))
    (tmp_path / "kb" / "passages.txt").write_text(passages, encoding="utf-8")
    result = train(
        *("--mode", "evolve", "--cycles", 1, "--epochs", 1, "--max_minutes", 0.02),
        *("--data_dir", "t.txt", "--knowledge_dir", "kb"),
        *small_settings(tmp_path),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "先训练一个基础模型" in result.stdout
    assert result.stdout.count("📚 文本") == 1
    assert "段落 6" in result.stdout
    assert re.search(STATISTICS, result.stdout)


def test_a_damaged_log_is_named_and_the_demo_goes_on(tmp_path, tiny_model_config):
    save_model(tmp_path / MODEL_PATH, Transformer(tiny_model_config).initialize(0), {})
    for content in ("[]", "{}", '[{"epoch": "x"}]', "rubbish"):
        (tmp_path / "training_log.json").write_text(content)
        result = chat("--max_length", 2, "--prompt", "x", cwd=tmp_path)
        assert result.returncode == 0
        assert "training_log.json" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_dry_run_measures_and_writes_nothing(tmp_path):
    """Not even sample text, transcoded text or the lock."""
    (tmp_path / "t").mkdir()
    novel = make_text(20_000) + "今天天气很好，我们去公园散步，看到许多美丽的花。" * 20
    (tmp_path / "t" / "a.txt").write_bytes(novel.encode("gb18030"))
    small_settings(tmp_path)
    before = files_below(tmp_path)
    result = train(
        *("--dry_run", "--data_dir", "t", "--output_dir", "new", "--epochs", 3),
        *small_settings(tmp_path),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert files_below(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.toml", "t"]
    assert "GB18030 1" in result.stdout
    assert "0.03M 参数 | 每轮 10 批 | 共 30 步" in result.stdout
    [(step, speed)] = re.findall(r"每步 ([\d.]+) 秒（([\d,]+) 字节/秒）", result.stdout)
    assert float(step) * int(speed.replace(",", "")) == pytest.approx(2048, rel=0.1)
    assert re.search(r"实测峰值 0\.\d GB | 检查点每个约 0 MB，最多占用磁盘约 2 MB", result.stdout)
    assert "没有写入任何文件" in result.stdout


def test_dry_run_of_a_first_run_and_of_evolution(tmp_path, tiny_model_config):
    """Where there is no text, what the sample text would cost; with a model, what evolves."""
    place = tmp_path / "empty"
    place.mkdir()
    result = train("--dry_run", "--max_minutes", 5, *small_settings(tmp_path), cwd=place)
    assert "训练时会在那里创建示例文本" in result.stdout
    assert "UTF-8  sample_en.txt" in result.stdout
    assert re.search(r"5 分钟内约 [\d,]+ 步", result.stdout)
    assert list(place.iterdir()) == []
    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    save_model(tmp_path / MODEL_PATH, Transformer(tiny_model_config).initialize(0), {})
    before = files_below(tmp_path)
    result = train("--mode", "evolve", "--dry_run", "--data_dir", "t.txt", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "📖 知识库" in result.stdout
    assert "每步" not in result.stdout
    assert files_below(tmp_path) == before


def test_quiet_shows_warnings_only(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_text(make_text(3000), encoding="utf-8")
    (tmp_path / "t" / "nothing.txt").touch()
    settings = small_settings(tmp_path)
    result = train("--quiet", "--epochs", 1, "--data_dir", "t", *settings, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout == ""
    assert result.stderr == "⏭️ 跳过 nothing.txt：空文件\n"
    assert (tmp_path / MODEL_PATH).exists()


def test_first_run_without_any_text(tmp_path):
    """README 准备训练数据: sample text is created in data/training_data, and the run says so.

    Stopped with Ctrl-C as soon as it trains, it saves, tells how to go on, and leaves with 130.
    """
    command = [sys.executable, str(REPOSITORY / "local_training_system.py"), "--preset", "tiny"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if re.match(BATCH, line):
                process.send_signal(2)
                break
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "已创建示例文本" in "".join(seen)
    assert "--preset tiny --resume" in errors
    assert list((tmp_path / "training_checkpoints").glob("step_*.pt"))
    sizes = [path.stat().st_size for path in (tmp_path / "data" / "training_data").glob("*.txt")]
    assert 200_000 <= sum(sizes) <= 400_000


def test_gb18030_novel_is_detected(tmp_path):
    novel = corpus_file("hongloumeng.gb18030.txt").read_bytes().decode("gb18030")
    text = tmp_path / "text" / "novel.txt"
    text.parent.mkdir()
    text.write_bytes(novel[:6000].encode("gb18030"))
    result = train(
        *("--epochs", 1, "--data-dir", "text", "--output-dir", "my model"),
        *small_settings(tmp_path),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "GB18030 1" in result.stdout
    next_command = re.search(r"local_inference_demo\.py (--mode demo.*)", result.stdout)[1]
    demo = chat(*shlex.split(next_command), "--max_length", 5, cwd=tmp_path)
    assert demo.returncode == 0, demo.stderr
    assert "--cycles 3 --output_dir 'my model' --data_dir text" in result.stdout


def test_resume_starts_anew_where_there_is_nothing(workplace, tmp_path):
    directory, _ = workplace
    result = train(
        *("--resume", "--epochs", 1, "--output-dir", tmp_path, "--data_dir", "data/training_data"),
        *small_settings(tmp_path),
        cwd=directory,
    )
    assert result.returncode == 0
    assert "从头开始" in result.stdout


@pytest.mark.parametrize("script", ["local_training_system.py", "local_inference_demo.py"])
def test_help_names_every_flag(script, tmp_path):
    result = run_script(script, "--help", cwd=tmp_path)
    assert result.returncode == 0
    wanted = {
        "local_training_system.py": "mode epochs data_dir output_dir resume preset lr batch_size "
        "seed device dtype eval_dir encoding cycles",
        "local_inference_demo.py": "mode model prompt temperature max_length seed",
    }
    assert all(f"--{flag}" in result.stdout for flag in wanted[script].split())


def test_english(workplace, tmp_path):
    directory, _ = workplace
    english = {**os.environ, "H2Q_LANG": "en"}
    for result in (
        chat("--lang", "en", "--max_length", 5, cwd=directory),
        chat("--max_length", 5, cwd=directory, env=english),
    ):
        assert "Latest training: epoch 2" in result.stdout
    assert "usage" in train("--help", "--lang=en", cwd=directory).stdout


def fails(result, *parts, code=2):
    """One clear line on stderr, the exit code, no traceback."""
    assert result.returncode == code, (result.stdout, result.stderr)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("❌ ")
    for part in parts:
        assert part in lines[0]


def files_below(directory):
    """Every file but the lock, with its bytes."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != ".h2q.lock")
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--data_dir", "nowhere"], ["nowhere", "--data_dir"]),
        (["--data_dir", "empty"], ["empty", ".txt"]),
        (["--data_dir", "binary.txt"], ["binary.txt", "--encoding"]),
        (["--data_dir", "zero.txt"], ["zero.txt", "空文件"]),
        (["--data_dir", "short.txt"], ["short.txt", "300", "1024"]),
        (["--data_dir", "good.txt", "--eval_dir", "nowhere"], ["nowhere"]),
        (["--data_dir", "good.txt", "--eval_dir", "byte.txt"], ["byte.txt", "1", "2"]),
        (["--data_dir", "good.txt", "--encoding", "klingon"], ["klingon"]),
        (["--data_dir", "good.txt", "--encoding", "zip"], ["zip"]),
        (["--data_dir", "good.txt", "--encoding", "ascii"], ["good.txt", "ascii"]),
        (["--epoch", "3"], ["--epoch", "--epochs"]),
        (["--no_such_flag"], ["--no_such_flag", "--help"]),
        (["stray"], ["stray"]),
        (["--preset", "huge"], ["huge", "readme", "tiny"]),
        (["--mode", "fly"], ["fly", "train", "evolve"]),
        (["--epochs", "0"], ["epochs", "0"]),
        (["--epochs", "many"], ["--epochs", "many"]),
        (["--max_minutes", "-1"], ["max_minutes", "-1"]),
        (["--max_minutes", "5", "--epochs", "2"], ["--max_minutes", "--epochs"]),
        (["--lr", "-1"], ["lr", "-1"]),
        (["--lr", "nan"], ["lr", "nan"]),
        (["--batch_size", "0"], ["batch_size"]),
        (["--seed", "-5"], ["seed", "-5"]),
        (["--patience", "-1"], ["patience", "-1"]),
        (["--dry_run", "--resume"], ["--dry_run", "--resume"]),
        (["--dry_run", "--data_dir", "short.txt"], ["short.txt", "300"]),
        (["--device", "tpu"], ["tpu"]),
        (["--dtype", "int8"], ["int8"]),
        (["--lang", "fr"], ["fr", "zh"]),
        (["--mode", "evolve", "--cycles", "0"], ["cycles"]),
        (["--mode", "evolve", "--knowledge_dir", "nowhere"], ["nowhere", "--knowledge_dir"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_of_training_is_one_line_and_writes_nothing(tmp_path, arguments, parts):
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "zero.txt").touch()
    (tmp_path / "short.txt").write_text("a" * 300)
    (tmp_path / "byte.txt").write_text("a")
    (tmp_path / "good.txt").write_text(make_text(3000), encoding="utf-8")
    before = files_below(tmp_path)
    fails(train(*arguments, cwd=tmp_path), *parts)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    "arguments", [["--temperature", "-1"], ["--max_length", "0"], ["--mode", "x"]]
)
def test_wrong_use_of_the_demo(tmp_path, arguments):
    fails(chat(*arguments, cwd=tmp_path), arguments[1])


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


def test_resuming_with_another_preset_is_refused(workplace):
    directory, _ = workplace
    before = files_below(directory)
    result = train("--resume", "--preset", "readme", "--eval_dir", "eval.txt", cwd=directory)
    fails(result, "embed_dim=32", "256", "--resume")
    assert files_below(directory) == before


def test_output_that_nobody_reads_does_not_stop_training(tmp_path):
    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    with open("/dev/full", "w") as full:
        result = train(
            *("--epochs", 1, "--data_dir", "t.txt"),
            *small_settings(tmp_path),
            cwd=tmp_path,
            stdout=full,
        )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / MODEL_PATH).exists()


def test_second_process_in_the_same_directory_is_refused(tmp_path):
    from h2q.system.files import locked_directory

    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    with locked_directory(tmp_path):
        result = train("--preset", "tiny", "--data_dir", "t.txt", cwd=tmp_path)
    fails(result, str(os.getpid()), "--output_dir", code=1)


def test_a_missing_dependency_is_one_line(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('none', name='torch')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = run_script("local_training_system.py", cwd=tmp_path, env=environment)
    fails(result, "torch", "pip install", code=1)


def test_what_the_system_refuses_is_one_line(workplace):
    """A knowledge base that cannot be read (root may read all, so: a directory named like a file)."""
    directory, _ = workplace
    (directory / "kb" / "facts.jsonl").mkdir(parents=True, exist_ok=True)
    command = ["--mode", "evolve", "--knowledge_dir", "kb", "--eval_dir", "eval.txt"]
    fails(train(*command, cwd=directory), "facts.jsonl", code=1)


def test_a_terminal_of_another_encoding_is_served(workplace):
    directory, _ = workplace
    environment = {**os.environ, "PYTHONIOENCODING": "gbk"}
    result = chat("--max_length", 5, cwd=directory, env=environment, encoding="gbk")
    assert result.returncode == 0
    assert "人工智能是" in result.stdout
