"""The README still has, word for word, what the first README of the program promised.

These lists are the promise: commands, defaults, files, lines that a run prints. Where the first README lies beside the
repository, a second test compares the lists with it, so that none can be shortened by mistake.
"""

import re

import pytest

from tests.conftest import REPOSITORY
from tests.test_documentation import READMES, blocks, commands, read

SEED = REPOSITORY.parent / "shared" / "seed-readme.md"
COMMANDS = [
    "mkdir -p data/training_data",
    "python3 local_training_system.py --mode train --epochs 5",
    "python3 local_training_system.py --mode evolve --cycles 3",
    "python3 local_inference_demo.py --mode demo",
    "python3 local_inference_demo.py --mode interactive",
]
# Settings by their names, each with its value, as lists of the README show them.
DEFAULTS = [
    "`--epochs`：训练轮数（默认：10）",
    "`--data_dir`：训练数据目录（默认：自动查找",
    "`--mode`：运行模式（train/evolve）",
    "词汇表大小：256（",
    "嵌入维度：256",
    "注意力头数：8",
    "Transformer层数：6",
    "序列长度：512",
]
# The recipe of training and the treatment of text, on the page of technical details.
RECIPE = [
    "优化器：AdamW",
    "学习率：1e-4（带余弦退火",
    "批次大小：8",
    "梯度裁剪：最大范数1.0",
    "损失函数：交叉熵",
    "编码：",
    "序列化：固定长度512",
    "填充：使用token 0进行填充",
    "增强：随机序列截取",
]
# These lines now say more: a token is a byte, which for ASCII is a character.
WIDENED = {"词汇表大小：256（", "编码："}
FILES = [
    "H2Q-Evo/",
    "local_training_system.py",
    "local_inference_demo.py",
    "data/",
    "training_data/",
    "training_checkpoints/",
    "training_log.json",
    "evolution_stats.json",
    "h2q_project/",
    "h2q_trained_model.pt",
]
# Lines that a run prints, with # for every number.
TRAINING_LINES = [
    "📅 Epoch #/#",
    "----------------------------------------",
    "批次 # | 损失: # | 困惑度: # | LR: #",
    "📊 评估损失: # | 困惑度: #",
    "🎉 训练完成！",
    "⏱️ 总训练时间: # 秒",
    "📉 最终损失: #",
    "🎯 最终困惑度: #",
]
EVOLUTION_LINES = [
    "🧬 进化统计:",
    "🔬 总进化次数: #",
    "✅ 成功进化: #",
    "❌ 失败进化: #",
    "📊 平均改进: #",
]
CLASSES = ["LocalModelTrainer", "SelfEvolutionEngine", "LocalInferenceModel"]
README_HEADINGS = [
    "🛡️ 安全特性",
    "🚀 快速开始",
    "1. 准备训练数据",
    "2. 基础训练",
    "3. 自我进化",
    "4. 推理演示",
    "📊 系统架构",
    "🔧 配置选项",
    "📈 训练结果",
    "📁 文件结构",
    "⚠️ 注意事项",
    "📞 支持",
]
# Topics that are now on the pages in ``docs``, or in the README without their own heading.
MOVED_HEADINGS = [
    *("概述", "核心组件", "数据流程", "训练配置", "模型配置", "示例训练输出", "进化统计"),
    *("🔄 自我进化机制", "进化周期", "进化指标", "🛠️ 技术细节", "模型架构", "训练优化", "数据处理"),
    "🔮 未来扩展",
]


def plain(line: str) -> str:
    """The text without bold type, with one kind of colon, single blanks, and # for numbers."""
    return re.sub(r"\s+", " ", line.replace("**", "").replace(": ", "：")).strip()


def output_lines(text: str) -> list[str]:
    """Lines of blocks that show output, with # for every number."""
    lines = [line for block in blocks(text) for line in block.splitlines()]
    return [re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "#", line)).strip() for line in lines]


def items(text: str) -> list[str]:
    """The items of lists, as ``plain`` has them."""
    return [plain(line[2:]) for line in text.splitlines() if line.startswith("- ")]


def tree(text: str) -> list[str]:
    """The names in the tree of files, in its order."""
    [drawing] = [block for block in blocks(text) if "├──" in block]
    return [re.sub(r"^[│├└─\s]*", "", line).split()[0] for line in drawing.splitlines()]


def headings(text: str) -> list[str]:
    return re.findall(r"^#{2,3} (.*)", text, re.M)


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_there(name):
    assert set(COMMANDS) <= set(commands(read(name)))


def test_every_default_is_there():
    for text, promised in ((read("README.md"), DEFAULTS), (read("docs/zh/technical.md"), RECIPE)):
        for start in promised:
            assert any(item.startswith(start) for item in items(text)), start


@pytest.mark.parametrize("name", READMES)
def test_every_file_is_there(name):
    names = tree(read(name))
    assert [name for name in names if name in FILES] == FILES


def test_every_line_that_a_run_prints_is_there():
    """In the order in which it is printed."""
    printed = output_lines(read("README.md"))
    for block in (TRAINING_LINES, EVOLUTION_LINES):
        places = [printed.index(line) for line in block]
        assert places == sorted(places)
    start = printed.index(EVOLUTION_LINES[0])
    assert printed[start : start + len(EVOLUTION_LINES)] == EVOLUTION_LINES


def test_every_section_and_class_is_there():
    text = read("README.md")
    assert set(README_HEADINGS) <= set(headings(text))
    assert all(f"**{name}**" in text for name in CLASSES)


def test_the_drawing_of_the_model_is_there():
    for name in ("docs/zh/technical.md", "docs/en/technical.md"):
        [drawing] = [block for block in blocks(read(name), "python") if "Embedding" in block]
        for part in ("vocab_size=256", "embed_dim=256", "n_heads=8", "dropout=0.1", "× 6"):
            assert part in drawing


def test_the_lists_are_those_of_the_first_readme():
    if not SEED.exists():
        pytest.skip("the first README is not there")
    seed = SEED.read_text(encoding="utf-8")
    assert [line for line in commands(seed) if line and line[0] != "#"] == COMMANDS
    settings = items(seed.partition("## 🔧")[2].partition("## 📈")[0])
    recipe = items(seed.partition("### 训练优化")[2].partition("## ⚠️")[0])
    for found, promised in ((settings, DEFAULTS), (recipe, RECIPE)):
        assert len(found) == len(promised)
        by_name = {item.partition("：")[0]: item for item in found}
        for start in promised:
            item = by_name[start.partition("：")[0]]
            assert item.startswith(start) and (start in WIDENED or item[len(start) :] in ("", "）"))
    assert set(tree(seed)) == set(FILES)
    shown = output_lines(seed.partition("## 📈")[2].partition("## 📁")[0])
    assert {line for line in shown if line} == set(TRAINING_LINES + EVOLUTION_LINES)
    assert set(headings(seed)) == set(README_HEADINGS + MOVED_HEADINGS)
    assert re.findall(r"\*\*(Local\w+|Self\w+)\*\*", seed) == CLASSES
