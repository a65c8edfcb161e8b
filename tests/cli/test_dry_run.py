"""A trial (``--dry_run``): what it says, and that it leaves no file behind."""

import re

import pytest

from h2q.checkpoint.model_file import save_model
from h2q.cli.dry_run import dry_run
from h2q.model.transformer import Transformer
from h2q.system.console import Console
from h2q.system.errors import CorpusError
from h2q.system.paths import MODEL_PATH
from tests.cli.conftest import SMALL, files_below, save_small_model, training
from tests.conftest import make_text, small_settings, train


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
    """Without text: the cost of training on the sample text. With a model: what would evolve."""
    place = tmp_path / "empty"
    place.mkdir()
    result = train("--dry_run", "--max_minutes", 5, *small_settings(tmp_path), cwd=place)
    assert "训练时会在那里创建示例文本" in result.stdout
    assert "UTF-8  sample_en.txt" in result.stdout
    assert re.search(r"5 分钟内约 [\d,]+ 步", result.stdout)
    assert list(place.iterdir()) == []
    (tmp_path / "t.txt").write_text(make_text(3000), encoding="utf-8")
    save_model(tmp_path / MODEL_PATH, Transformer(tiny_model_config).initialize(0), {})
    (tmp_path / "facts.csv").write_text("name,job\nLena,dentist\n,cook\n")
    before = files_below(tmp_path)
    flags = ("--data_dir", "t.txt", "--knowledge_dir", "facts.csv")
    result = train("--mode", "evolve", "--dry_run", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "📖 知识库" in result.stdout and "📄 facts.csv: 表格 1 · 有误 1" in result.stdout
    assert "facts.csv 第 3 行" in result.stderr
    assert "每步" not in result.stdout
    assert files_below(tmp_path) == before


# In this process.


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with a knowledge base."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kb").mkdir()
    passages = "\n\n".join(make_text(400, seed) for seed in range(10, 16))
    (tmp_path / "kb" / "passages.txt").write_text(passages, encoding="utf-8")
    return tmp_path


def said_by(capsys, *arguments, **tables) -> str:
    dry_run(training("--dry_run", *arguments, **{"model": SMALL, **tables}), Console())
    return capsys.readouterr().out


def test_a_first_run_is_tried_on_the_sample_text(place, capsys):
    before = files_below(place)
    said = said_by(capsys, "--seed", 5)
    assert "训练时会在那里创建示例文本" in said and "sample_zh.txt" in said
    assert "5" in said.splitlines()[0]
    assert "每步" in said and said.splitlines()[-1].startswith("ℹ️")
    assert files_below(place) == before


def test_text_that_is_there_is_what_is_tried(place, capsys):
    (place / "data" / "training_data").mkdir(parents=True)
    (place / "data" / "training_data" / "mine.txt").write_text(make_text(6000), encoding="utf-8")
    said = said_by(capsys, "--max_minutes", 3)
    assert "mine.txt" in said and "示例文本" not in said
    assert re.search(r"3 分钟内约 [\d,]+ 步", said)


def test_patterns_that_fit_nothing_are_not_tried_on_the_sample_text(place):
    with pytest.raises(CorpusError):
        dry_run(training("--dry_run", "--include", "*.md", model=SMALL), Console())


def test_the_text_is_split_as_a_run_would_split_it(place, capsys):
    """With a model: as the model was trained, which was before there was a validation part."""
    (place / "t.txt").write_text(make_text(20_000), encoding="utf-8")
    flags = ("--mode", "evolve", "--data_dir", "t.txt", "--knowledge_dir", "kb")
    assert "| 验证 " in said_by(capsys, *flags)
    save_small_model(place, {"training": {"epochs": 1}})
    assert "| 验证 " not in said_by(capsys, *flags, model={})


def test_where_the_system_does_not_tell_the_memory_the_disk_is_told(place, capsys, monkeypatch):
    monkeypatch.setattr("h2q.cli.dry_run.peak_memory_bytes", lambda: 0)
    (place / "t.txt").write_text(make_text(6000), encoding="utf-8")
    said = said_by(capsys, "--data_dir", "t.txt")
    assert "最多占用磁盘约" in said and "实测峰值" not in said


def test_an_evolution_is_tried_with_its_knowledge(place, capsys):
    """With a model, no training comes first, so no time of training is told."""
    (place / "t.txt").write_text(make_text(6000), encoding="utf-8")
    flags = ("--mode", "evolve", "--data_dir", "t.txt", "--knowledge_dir", "kb")
    assert "每步" in said_by(capsys, *flags)
    save_small_model(place)
    before = files_below(place)
    said = said_by(capsys, *flags, model={})
    assert "段落 6" in said and "每步" not in said
    assert files_below(place) == before
