"""Each line of the original README on architecture, training and data, by its own words.

What the lines on speed of learning, evolution and files promise is tested where it is done:
``tests/cli``, ``tests/evolution``, ``tests/training``.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from h2q.cli.arguments import chat_parser, train_parser
from h2q.config import PRESETS, EvolutionConfig, ModelConfig, TrainingConfig
from h2q.datasets.batches import epoch_batches
from h2q.datasets.corpus import open_corpus
from h2q.datasets.file_search import find_files
from h2q.model.tokenizer import PAD, VOCAB_SIZE, decode, encode
from h2q.model.transformer import Transformer
from h2q.training.optimizers import Optimizers
from h2q.training.trainer import LocalModelTrainer
from tests.conftest import REPOSITORY, make_text, train

MODEL = ModelConfig()
TRAINING = TrainingConfig()


@pytest.fixture(scope="module")
def model():
    return Transformer(MODEL).initialize(seed=0)


def test_the_default_preset_is_the_readme():
    assert PRESETS["readme"].model == MODEL
    assert PRESETS["readme"].training == TRAINING


def test_vocabulary_256(model):
    """词汇表大小：256（ASCII字符）; Embedding(vocab_size=256, embed_dim=256)"""
    assert MODEL.vocab_size == VOCAB_SIZE == model.embedding.num_embeddings == 256
    assert list(encode("ASCII text\n")) == [ord(char) for char in "ASCII text\n"]
    assert decode(encode("任何文字 ✓")) == "任何文字 ✓"


def test_width_256(model):
    """嵌入维度：256; Linear(embed_dim=256, vocab_size=256)"""
    assert model.embedding.embedding_dim == MODEL.embed_dim == 256
    assert model.output.weight.shape == (256, 256)


def test_8_heads(model):
    """注意力头数：8"""
    assert MODEL.n_heads == 8
    assert all(layer.n_heads == 8 for layer in model.layers)


def test_6_layers(model):
    """Transformer层数：6; TransformerEncoderLayer(...) × 6层"""
    assert len(model.layers) == MODEL.n_layers == 6


def test_length_512(model):
    """序列长度：512; 序列化: 固定长度512"""
    assert MODEL.context_length == 512
    assert model.eval()(torch.zeros(1, 512, dtype=torch.long)).shape == (1, 512, 256)


def test_dropout(model, monkeypatch):
    """dropout=0.1"""
    rates = []
    monkeypatch.setattr(
        "h2q.model.transformer.dropout", lambda x, p, *_, **__: rates.append(p) or x
    )
    model(torch.zeros(1, 4, dtype=torch.long))
    assert rates == [0.1] * (1 + 2 * 6)  # the embedding, and both branches of each layer


def test_about_8m_parameters(model):
    """当前模型约8M参数"""
    assert 7.5e6 < model.parameter_count() < 8.5e6


def test_adamw(model):
    """优化器: AdamW"""
    (optimizer,) = Optimizers(model, TRAINING, torch.float32)._optimizers
    assert type(optimizer) is torch.optim.AdamW


def test_learning_rate():
    """学习率: 1e-4（带余弦退火）"""
    assert TRAINING.lr == 1e-4


def test_batch_size():
    """批次大小: 8"""
    assert TRAINING.batch_size == 8


def test_gradient_clipping():
    """梯度裁剪: 最大范数1.0"""
    assert TRAINING.clip_norm == 1.0


def test_default_of_epochs_mode_and_cycles():
    """--epochs: 训练轮数（默认：10）; --mode: 运行模式（train/evolve）"""
    arguments = train_parser().parse_args([])
    assert (arguments.mode, EvolutionConfig().cycles, TRAINING.epochs) == ("train", 3, 10)
    assert chat_parser().parse_args([]).mode == "demo"


def test_loss_is_cross_entropy(tmp_path, tiny_model_config):
    """损失函数: 交叉熵"""
    text = tmp_path / "text.txt"
    text.write_text(make_text(2000), encoding="utf-8")
    opened = open_corpus(text, tmp_path / "cache", context_length=64)
    config = replace(tiny_model_config, dropout=0.0)
    trainer = LocalModelTrainer(opened, tmp_path / "out", config, TRAINING)
    inputs, targets, _ = next(epoch_batches(opened.train, 64, 8, seed=0, epoch=0))
    with torch.no_grad():
        probabilities = trainer.model(inputs).softmax(dim=-1)
    chosen = probabilities.gather(2, targets[:, :, None]).squeeze(2)
    expected = -chosen[targets != PAD].log().mean().item()
    assert trainer.train_step(inputs, targets) == pytest.approx(expected, rel=1e-5)


def test_padding_with_token_0_to_512(tmp_path):
    """填充: 使用token 0进行填充"""
    text = tmp_path / "text.txt"
    text.write_text("一" * 500, encoding="utf-8")
    opened = open_corpus(text, tmp_path / "c", context_length=512, eval_path=text)
    rows = torch.cat([x for x, *_ in epoch_batches(opened.train, 512, 8, seed=0, epoch=0)])
    assert rows.shape == (3, 512)
    padded = (rows == PAD).sum(dim=1)
    assert sorted(padded.tolist()) == [0, 0, 3 * 512 - 1501 - 1]


def test_random_crops(tmp_path):
    """增强: 随机序列截取"""
    text = tmp_path / "text.txt"
    text.write_text(make_text(20_000), encoding="utf-8")
    opened = open_corpus(text, tmp_path / "c", context_length=512)
    crops = [
        {
            row.numpy().tobytes()
            for x, *_ in epoch_batches(opened.train, 512, 8, 0, epoch)
            for row in x
        }
        for epoch in range(3)
    ]
    assert not crops[0] & crops[1] and not crops[1] & crops[2]


def test_all_txt_files_are_loaded(text_dir, tmp_path):
    """系统会自动加载所有.txt文件"""
    (text_dir / "notes.md").write_text("not this one")
    deep = text_dir / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "c.txt").write_text(make_text(2000, 7), encoding="utf-8")
    found = find_files(text_dir).files
    assert [path.name for path in found] == ["0.txt", "1.txt", "c.txt"]
    opened = open_corpus(text_dir, tmp_path / "c", context_length=64, eval_path=deep)
    data = np.frombuffer(opened.train.read(0, len(opened.train)), dtype=np.uint8).tobytes()
    assert data == b"".join(path.read_bytes() + b"\xff" for path in found)


def test_sample_data_is_created_by_itself(tmp_path):
    """系统会自动创建示例数据"""
    command = ["--preset", "tiny", "--epochs", 1, "--lr", "nan"]
    assert train(*command, cwd=tmp_path).returncode == 2
    assert not (tmp_path / "data").exists(), "a wrong call must write nothing"
    from h2q.datasets.sample_text import create_sample_text

    assert [path.suffix for path in create_sample_text(tmp_path / "d")] == [".txt", ".txt"]


def test_scripts_and_data_lie_where_the_tree_says():
    """文件结构"""
    for name in ("local_training_system.py", "local_inference_demo.py", "data"):
        assert (REPOSITORY / name).exists()
