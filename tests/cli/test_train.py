"""Training and evolution as a person runs them: the README's commands, lines and files."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import torch

from h2q.checkpoint.model_file import load_model
from h2q.cli import train as commands
from h2q.cli.train import train_or_evolve
from h2q.config import EvolutionConfig, TrainingConfig
from h2q.system.console import Console
from h2q.system.errors import CorpusError, KnowledgeError, SettingError
from h2q.system.files import read_json, write_json
from h2q.system.paths import MODEL_PATH, OutputPaths
from tests.cli.conftest import SMALL, fails, files_below, save_small_model, training
from tests.conftest import (
    REPOSITORY,
    chat,
    corpus_file,
    make_text,
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
    """README 自我进化 and 进化统计; with text of one's own, that text is taught."""
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
    """The program says so, reads the text once, and continues with the cycles."""
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

    Stopped with Ctrl-C as soon as it trains, it saves, tells how to resume, and exits with 130.
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
    assert 600_000 <= sum(sizes) <= 700_000


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


# In this process: the settings of a call reach the trainer and the engine.


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with text, a knowledge base and no pictures."""
    (tmp_path / "t.txt").write_text(make_text(6000), encoding="utf-8")
    (tmp_path / "kb").mkdir()
    passages = "\n\n".join(make_text(400, seed) for seed in range(10, 16))
    (tmp_path / "kb" / "passages.txt").write_text(passages, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "write_report", lambda paths, console: None)
    return tmp_path


def do(*arguments, text="t.txt", **tables) -> None:
    call = training("--data_dir", text, *arguments, **{"model": SMALL, **tables})
    train_or_evolve(call, Console())


class Engine:
    """Stands for the engine and remembers its arguments."""

    given: tuple
    options: dict

    def __init__(self, *arguments, **options):
        Engine.given, Engine.options = arguments, options

    def evolve(self):
        pass


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(commands, "SelfEvolutionEngine", Engine)
    return Engine


def test_a_run_writes_its_files_and_names_the_next_commands(place, capsys):
    do("--epochs", 1, "--output_dir", "my model", "--encoding", "utf-8")
    paths = OutputPaths(place / "my model")
    assert paths.model.exists() and paths.training_log.exists()
    said = capsys.readouterr().out
    assert "--model 'my model/h2q_project/h2q_trained_model.pt'" in said
    assert "--output_dir 'my model' --data_dir t.txt --encoding utf-8" in said
    assert "--knowledge" not in said and said.splitlines()[-1].count("data/knowledge_base") == 1


def test_who_has_facts_is_offered_to_teach_them(place, capsys):
    do("--epochs", 1, "--knowledge_dir", "kb")
    said = capsys.readouterr().out
    assert said.splitlines()[-1].endswith("--data_dir t.txt --knowledge_dir kb")
    do("--epochs", 1, "--knowledge", "shipped")
    assert capsys.readouterr().out.splitlines()[-1].endswith("--data_dir t.txt --knowledge shipped")


def test_a_run_on_documents_is_resumed_on_their_text(place, capsys):
    """Also when the cache is gone; and the next command reads the same files."""
    notes = place / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text(make_text(3000), encoding="utf-8")
    (notes / "b.html").write_bytes(f"<p>{make_text(4000, 1)}".encode("gb18030"))
    (notes / "c.md").write_text(make_text(3000, 2), encoding="utf-8")
    flags = ("--include", "*.html, *.md", "--include", "*.srt")
    do("--epochs", 1, *flags, text="notes")
    said = capsys.readouterr()
    assert "MD 1" in said.out and "HTML (GB18030) 1" in said.out and "UTF-8 1" not in said.out
    assert "⏭️ 1 个未读：a.txt（不符合 --include）" in said.err
    assert "--data_dir notes --include '*.html,*.md,*.srt'" in said.out
    for copy in OutputPaths(place).transcoded.iterdir():
        copy.unlink()
    do("--epochs", 2, "--resume", *flags, text="notes", model={})
    assert [entry["epoch"] for entry in read_json(place / "training_log.json")] == [1, 2]
    with pytest.raises(SettingError) as error:
        do("--epochs", 3, "--resume", text="notes", model={})
    assert error.value.key == "resume.text_changed"


def test_a_run_takes_model_and_settings_of_the_call(place):
    do("--epochs", 1, "--seed", 7, training={"clip_norm": 3})
    model, provenance = load_model(place / MODEL_PATH)
    assert model.config.n_layers == 2
    assert provenance["training"]["seed"] == 7
    assert provenance["training"]["clip_norm"] == 3
    assert provenance["epoch"] == 1


def test_a_resumed_run_goes_on_with_what_is_saved(place, capsys):
    do("--epochs", 1, "--seed", 7, "--dtype", "float32")
    do("--epochs", 2, "--resume", model={})  # neither model, seed nor precision is repeated
    _, provenance = load_model(place / MODEL_PATH)
    assert provenance["training"]["seed"] == 7
    assert provenance["environment"]["dtype"] == "float32"
    assert [entry["epoch"] for entry in read_json(place / "training_log.json")] == [1, 2]
    with pytest.raises(SettingError) as error:
        do("--resume", "--seed", 8)
    assert error.value.key == "resume.differs"


def test_a_run_that_has_nothing_to_resume_begins(place, capsys):
    do("--epochs", 1, "--resume")
    assert "从头" in capsys.readouterr().out
    assert (place / MODEL_PATH).exists()


def test_what_a_killed_process_left_is_removed(place):
    paths = OutputPaths(place)
    left = [
        directory / ".x.h2q.tmp"
        for directory in (paths.root, paths.checkpoints, paths.transcoded, paths.model.parent)
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(CorpusError):
        do("--encoding", "utf-16", text="t.txt")
    assert not any(path.exists() for path in left)


def test_sample_text_is_made_in_the_default_place_only(place, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(commands, "create_sample_text", lambda path: made.append(path) or put(path))

    def put(path):
        path.mkdir(parents=True)
        (path / "sample.txt").write_text(make_text(6000), encoding="utf-8")

    for _ in range(2):
        train_or_evolve(training("--epochs", 1, model=SMALL), Console())
    assert [str(path) for path in made] == ["data/training_data"]
    assert capsys.readouterr().out.count("已创建示例文本") == 1


def test_no_sample_text_is_made_where_patterns_fit_nothing(place):
    with pytest.raises(CorpusError):
        train_or_evolve(training("--include", "*.md", model=SMALL), Console())
    assert not (place / "data").exists()


def test_curves_begin_where_the_run_does(place, monkeypatch):
    pytest.importorskip("tensorboard")
    begun = []

    class Curves:
        def __init__(self, output_dir, first_step):
            begun.append(first_step)

        def step(self, *values):
            pass

        def epoch(self, entry):
            pass

        def close(self):
            begun.append("closed")

    monkeypatch.setattr(commands, "TensorBoardCurves", Curves)
    do("--epochs", 1, "--tensorboard")
    do("--epochs", 2, "--tensorboard", "--resume")
    assert begun[0] == 0 and begun[2] > 0
    assert begun[1::2] == ["closed", "closed"]


def test_an_evolution_splits_the_text_as_the_base_was_trained(place, engine):
    """Also where the settings file says otherwise meanwhile, and where the model is from before
    there was a validation part."""
    (place / "t.txt").write_text(make_text(40_000), encoding="utf-8")
    split = {"validation_fraction": 0.1}
    do("--epochs", 1, training=split)
    _, provenance = load_model(place / MODEL_PATH)
    do("--mode", "evolve", "--knowledge_dir", "kb", training={"validation_fraction": 0.2})
    corpus, *_ = engine.given
    assert len(corpus.validation) > 0 and corpus.fingerprint == provenance["corpus"]
    save_small_model(place, {"training": {"epochs": 1}})
    do("--mode", "evolve", "--knowledge_dir", "kb")
    corpus, *_ = engine.given
    assert len(corpus.validation) == 0 and corpus.fingerprint != provenance["corpus"]


def test_a_run_goes_on_only_with_the_validation_part_that_it_had(place):
    (place / "t.txt").write_text(make_text(40_000), encoding="utf-8")
    do("--epochs", 1, training={"validation_fraction": 0.1})
    do("--epochs", 2, "--resume")
    assert load_model(place / MODEL_PATH)[1]["training"]["validation_fraction"] == 0.1
    with pytest.raises(SettingError, match=r"validation_fraction=0\.1"):
        do("--epochs", 3, "--resume", training={"validation_fraction": 0.2})


def test_settings_of_evolution_reach_the_engine(place, engine):
    """Settings in the table of the file reach the engine; flags win over them."""
    save_small_model(place, {"training": {"lr": 0.5, "batch_size": 4}})
    do(
        *("--mode", "evolve", "--knowledge_dir", "kb", "--cycles", 2, "--resume"),
        training={"clip_norm": 3},
        evolution={"cycles": 9, "exposures": 7, "cycle_bytes": 2048, "replay_fraction": 0.25},
    )
    corpus, knowledge, output_dir, evolution, trained = engine.given
    assert evolution == EvolutionConfig(
        cycles=2, exposures=7, cycle_bytes=2048, replay_fraction=0.25
    )
    # The model was trained before there was a validation part.
    assert trained == TrainingConfig(lr=0.5, batch_size=4, clip_norm=3, validation_fraction=0.0)
    assert knowledge.passage_count == 6 and len(corpus.train) > 0 and not output_dir.parts
    assert engine.options["resume"] and engine.options["device"] in ("cpu", "cuda")
    assert isinstance(engine.options["dtype"], torch.dtype)


@pytest.mark.parametrize("provenance", [{}, {"training": {"no": 1}}, {"training": 3}])
def test_settings_that_are_not_known_are_those_of_the_preset(place, engine, provenance):
    save_small_model(place, provenance)
    do("--mode", "evolve", "--knowledge_dir", "kb", "--preset", "tiny", "--seed", 3, model={})
    trained = engine.given[4]
    assert (trained.optimizer, trained.seed) == ("muon", 3)


def test_a_changed_setting_of_evolution_is_not_resumed(place):
    """The engine refuses it in one sentence; another time or number of cycles is accepted."""
    save_small_model(place)
    flags = ("--mode", "evolve", "--knowledge_dir", "kb", "--cycles", 1)
    table = {"cycle_bytes": 1024, "exposures": 5}
    do(*flags, evolution=table)
    run = OutputPaths(place).evolution_run
    write_json(run, {**read_json(run), "last_cycle": 2})  # as if it had been killed before
    with pytest.raises(SettingError) as error:
        do(*flags, "--resume", evolution={**table, "exposures": 6})
    assert error.value.key == "evolve.changed"
    do(*flags, "--resume", evolution={**table, "max_minutes": 9})
    assert read_json(OutputPaths(place).evolution_stats)["total_evolutions"] == 2


def test_an_unusable_knowledge_base_is_refused_before_training(place):
    (place / "kb" / "passages.txt").write_text("")
    with pytest.raises(KnowledgeError):
        do("--mode", "evolve", "--knowledge_dir", "kb")
    assert not (place / MODEL_PATH).exists()


def test_evolution_trains_first_where_there_is_no_model(place, engine, capsys):
    do("--mode", "evolve", "--knowledge_dir", "kb", "--epochs", 1)
    said = capsys.readouterr().out
    assert said.count("📚 文本") == 1
    assert "--mode demo" not in said  # the next command is for a run that only trains
    assert (place / MODEL_PATH).exists()
    assert engine.given[0].fingerprint
