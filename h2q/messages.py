"""The catalogue: every sentence a person reads, in Chinese and in English.

A sentence is named by a key and filled with ``str.format`` values. The lines that the README
shows (epoch, batch, evaluation, final block, statistics) keep its format to the letter.
"""

import os
import sys

LANGUAGES = ("zh", "en")
_language = "zh"
# How a person starts the two programs: {train_program} and {chat_program} in any sentence.
_programs = {
    "train_program": "python3 local_training_system.py",
    "chat_program": "python3 local_inference_demo.py",
}


def set_language(language: str) -> None:
    """Chooses the language of all messages from now on: ``zh`` or ``en``."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is not one of {LANGUAGES}")
    _language = language


def set_programs(train: str, chat: str) -> None:
    """Chooses how messages say that training and talking are started."""
    _programs.update(train_program=train, chat_program=chat)


def default_language() -> str:
    """``H2Q_LANG`` where it names a language we speak; else Chinese, or English where stdout is in
    an encoding without Chinese characters."""
    wanted = os.environ.get("H2Q_LANG", "")
    if wanted in LANGUAGES:
        return wanted
    try:
        "中".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "en"
    return "zh"


def message(key: str, /, **values) -> str:
    """The sentence named ``key`` in the language in use."""
    return message_in(_language, key, **values)


def message_in(language: str, key: str, /, **values) -> str:
    """The sentence named ``key`` in a language of its own, where the usual one cannot be shown."""
    return MESSAGES[key][LANGUAGES.index(language)].format(**_programs, **values)


def language() -> str:
    """The language in use."""
    return _language


MESSAGES: dict[str, tuple[str, str]] = {
    # Settings and command line
    "error": ("❌ {error}", "❌ {error}"),
    "interrupted": (
        "⏸️ {error}\n   继续训练：{command}",
        "⏸️ {error}\n   To go on: {command}",
    ),
    "setting.type": (
        "{name} 的值 {value!r} 类型不对，应为 {type}。",
        "{name}: {value!r} is of the wrong type, it must be {type}.",
    ),
    "setting.range": (
        "{name} 的值 {value} 超出范围，应在 {minimum} 到 {maximum} 之间。",
        "{name}: {value} is out of range, it must lie between {minimum} and {maximum}.",
    ),
    "setting.heads": (
        "embed_dim={embed_dim} 必须能被 {double_heads}（注意力头数的两倍）整除。",
        "embed_dim={embed_dim} must be divisible by {double_heads}, twice the number of heads.",
    ),
    "setting.choice": (
        "{name} 没有 {value!r} 这个选项，可选：{known}。",
        "{name}: there is no {value!r}; choose one of {known}.",
    ),
    "setting.stop": (
        "stop 的值 {value!r} 不对，应为若干非空字符串。",
        "stop: {value!r} is not a tuple of strings that are not empty.",
    ),
    "setting.unknown": (
        "未知的设置 {name!r}，最接近的是 {nearest!r}。",
        "Unknown setting {name!r}; the nearest known one is {nearest!r}.",
    ),
    "settings.toml": (
        "{path} 不是有效的 TOML（{reason}）；请修正后再试。",
        "{path} is no valid TOML ({reason}); mend it and try again.",
    ),
    "settings.unknown": (
        "{path} 中的设置 {name} 不存在，最接近的是 {nearest}。",
        "{path}: there is no setting {name}; the nearest one is {nearest}.",
    ),
    "settings.value": (
        "{path} 中 {name} 的值 {value!r} 类型不对。",
        "{path}: the value {value!r} of {name} is of the wrong type.",
    ),
    "extra.missing": (
        '没有安装 {name}；请执行 pip install {name}（或安装附加项：pip install -c constraints.txt -e ".[{extra}]"）。',
        "{name} is not installed; run pip install {name} (or install the extra: "
        'pip install -c constraints.txt -e ".[{extra}]").',
    ),
    "usage.epochs_or_minutes": (
        "--epochs 和 --max_minutes 只能给一个：按时间计划时，轮数由速度决定。",
        "Give --epochs or --max_minutes, not both: with a planned time the speed decides the "
        "number of epochs.",
    ),
    "usage.flag": (
        "未知参数 {flag}{hint}；用 --help 查看全部参数。",
        "Unknown argument {flag}{hint}; --help lists them all.",
    ),
    "usage.no_value": (
        "{flag} 后面要有一个值；用 --help 查看用法。",
        "{flag} needs a value; see --help.",
    ),
    "usage.nearest": ("，您是否想写 {nearest}", ", did you mean {nearest}"),
    "usage.wrong": ("用法有误：{reason}；用 --help 查看用法。", "Wrong use: {reason}; see --help."),
    "device.missing": (
        "这台机器上没有可用的 {device} 设备；请用 --device cpu 或 auto。",
        "This machine has no usable {device} device; use --device cpu or auto.",
    ),
    # Text
    "corpus.missing": (
        "找不到 {path}；请检查 --data_dir 或 --eval_dir 给出的路径。",
        "{path} does not exist; check the path given with --data_dir or --eval_dir.",
    ),
    "corpus.unreadable": (
        "无法读取 {path}：{reason}；请检查权限。",
        "{path} cannot be read: {reason}; check its permissions.",
    ),
    "corpus.empty": (
        "{path} 中没有 .txt 文件；请把文本放进去，或用 --data_dir 指定别的位置。",
        "There is no .txt file in {path}; put your text there or name another --data_dir.",
    ),
    "corpus.no_text": (
        "{path} 中没有可用的文本（跳过 {count} 个文件，例如 {first}：{reason}）；"
        "请换成文本文件，或用 --encoding 指明编码。",
        "{path} holds no usable text ({count} skipped, for instance {first}: {reason}); "
        "use text files, or name their --encoding.",
    ),
    "corpus.short": (
        "{path} 只有 {size} 字节文本，至少需要 {needed} 字节；请添加更多文本。",
        "{path} holds only {size} bytes of text, at least {needed} are needed; add more text.",
    ),
    "corpus.encoding": (
        "{path} 不是 {encoding} 编码（{reason}）；请换一个 --encoding，或去掉它以自动识别。",
        "{path} is not in {encoding} ({reason}); name another --encoding, or none to detect it.",
    ),
    "corpus.codec": (
        "不认识编码 {encoding!r}；例如可用 utf-8、gb18030、utf-16、big5。",
        "There is no encoding {encoding!r}; use for instance utf-8, gb18030, utf-16 or big5.",
    ),
    "corpus.changed": (
        "{path} 在训练过程中被修改或删除；请恢复它并用 --resume 继续，或重新开始训练。",
        "{path} was changed or deleted during training; restore it and go on with --resume, "
        "or train anew.",
    ),
    "skip.empty": ("空文件", "empty"),
    "skip.special": ("不是普通文件", "not a regular file"),
    "skip.denied": ("没有读取权限", "permission denied"),
    "skip.gone": ("文件不存在", "no such file"),
    "skip.unreadable": ("无法读取", "cannot be read"),
    "skip.not_text": (
        "不是可识别编码的文本",
        "not text in a recognised encoding",
    ),
    # Files
    "file.json": (
        "{path} 无法使用：{reason}；请修复或移走这个文件。",
        "{path} cannot be used: {reason}; mend it or move it away.",
    ),
    "file.system": (
        "{path}：{reason}；请检查路径和权限。",
        "{path}: {reason}; check path and permissions.",
    ),
    "output.failed": (
        "结果写不出去：{reason}；已写出的部分完好。",
        "The output cannot be written: {reason}; what was written before is intact.",
    ),
    "prompts.unreadable": (
        "无法读取提示文件 {path}：{reason}。",
        "The file of prompts {path} cannot be read: {reason}.",
    ),
    "prompts.line": (
        "⚠️ {path} 第 {line} 行不能用，已略过：{reason}",
        "⚠️ {path}, line {line} cannot be used and is left out: {reason}",
    ),
    "prompts.broken": (
        "{path} 中有 {count} 行不能用（见上）；其余各行都已回答。",
        "{path}: {count} lines could not be used (see above); all others are answered.",
    ),
    "score.not_text": (
        "{path} 不是可识别编码的文本；请先转成 UTF-8。",
        "{path} is not text in a recognised encoding; convert it to UTF-8 first.",
    ),
    "score.regular": (
        "{path} 不是普通文件；请给出文本文件。",
        "{path} is not a regular file; name a file of text.",
    ),
    "save.failed": (
        "无法写入 {path}：{reason}；已有文件保持原样。请检查磁盘空间和权限后再试（--resume）。",
        "{path} cannot be written: {reason}; existing files are as they were. Check disk space and "
        "permissions, then try again (--resume).",
    ),
    "save.not_synced": (
        "{path} 已写好，但系统无法确认它已落盘（{reason}）；请检查磁盘后再试（--resume）。",
        "{path} is in its place, but the system could not confirm that it is on disk ({reason}). "
        "Check the disk, then try again (--resume).",
    ),
    "directory.in_use": (
        "{path} 正被另一个进程（{holder}）使用；请等它结束，或换一个 --output_dir。",
        "{path} is in use by another process ({holder}); wait for it or name another --output_dir.",
    ),
    "network.blocked": (
        "已阻止一次网络访问（{event}）：本程序完全离线运行。",
        "Blocked an attempt to use the network ({event}): this program works offline.",
    ),
    "dependency.missing": (
        "没有安装 {name}；请先建立虚拟环境并安装：pip install -c constraints.txt -e .",
        "{name} is not installed; make a virtual environment and install it: "
        "pip install -c constraints.txt -e .",
    ),
    "memory.full": (
        "内存不足；请用更小的 --batch_size 或 --preset tiny，用 --resume 可从上次保存处继续。",
        "Out of memory; use a smaller --batch_size or --preset tiny; --resume goes on from the "
        "last save.",
    ),
    # Models
    "model.missing": (
        "找不到模型 {path}；请先训练：{train_program} --mode train",
        "There is no model at {path}; train one first: {train_program} --mode train",
    ),
    "model.unreadable": (
        "无法读取 {path}：{reason}；请检查路径和权限。",
        "{path} cannot be read: {reason}; check path and permissions.",
    ),
    "model.damaged": (
        "{path} 已损坏或不是模型文件；请用备份替换它，或重新训练。",
        "{path} is damaged or no model file; replace it from a backup or train again.",
    ),
    "model.foreign": (
        "{path} 不是 H2Q-Evo 的这类文件；请指定 h2q_trained_model.pt。",
        "{path} is not this kind of H2Q-Evo file; name an h2q_trained_model.pt.",
    ),
    "model.version": (
        "{path} 的格式版本 {version!r} 不受支持；请升级程序或重新训练。",
        "{path} has format version {version!r}, which is not supported; upgrade or train again.",
    ),
    "model.config": (
        "{path} 中的配置无效：{reason}",
        "{path} holds an unusable configuration: {reason}",
    ),
    "model.dimensions": (
        "{path} 中的权重与它的配置尺寸不符；请指定完整的模型文件，或重新训练。",
        "The weights in {path} do not have the dimensions of its configuration; name an intact "
        "model file or train again.",
    ),
    "model.not_finite": (
        "{path} 中的权重 {name} 含有无穷或非数值；请使用更早的检查点或重新训练。",
        "{path} holds weights that are not finite ({name}); use an older one or train again.",
    ),
    "checkpoint.all_damaged": (
        "{path} 中的检查点全部损坏；请恢复备份，或去掉 --resume 重新开始。",
        "All checkpoints in {path} are damaged; restore a backup, or train anew without --resume.",
    ),
    # Training
    "train.banner": (
        "🚀 H2Q-Evo {version} | 设备: {device}（{threads} 线程） | 精度: {dtype} | 种子: {seed}",
        "🚀 H2Q-Evo {version} | device: {device} ({threads} threads) | precision: {dtype} | "
        "seed: {seed}",
    ),
    "train.sample_text": (
        "📝 {path} 中没有文本，已创建示例文本；请把您自己的 .txt 文件放到那里，再重新训练。",
        "📝 There was no text in {path}: sample text was created. Put your own .txt files there "
        "and train again.",
    ),
    "train.corpus": (
        "📚 文本: {path} | {encodings}",
        "📚 Text: {path} | {encodings}",
    ),
    "train.skipped_count": ("跳过 {count}（{why}）", "skipped {count} ({why})"),
    "train.text": (
        "   {characters:,} 个字符 | {lines:,} 行 | 训练 {train:,} 字节 | 评估 {heldout:,} 字节",
        "   {characters:,} characters | {lines:,} lines | training {train:,} bytes | "
        "held out {heldout:,} bytes",
    ),
    "train.file": (
        "   {encoding}  {name}（{size:,} 字节）",
        "   {encoding}  {name} ({size:,} bytes)",
    ),
    "train.more_files": ("   … 还有 {count:,} 个", "   … and {count:,} more"),
    "train.line": ("   ┊ {text}", "   ┊ {text}"),
    "train.duplicates": (
        "⚠️ 内容完全相同：{paths}；会重复训练，可删去多余的。",
        "⚠️ The same text: {paths}; it is trained on each time, you may want to keep only one.",
    ),
    "train.heldout_is_trained": (
        "⚠️ 评估文件 {path} 也在训练文本中：评估损失会偏低。",
        "⚠️ The held-out file {path} is in the training text too: the held-out loss will be too low.",
    ),
    "train.skipped": ("⏭️ 跳过 {path}：{reason}", "⏭️ Skipped {path}: {reason}"),
    "start.loading": ("⏳ 正在加载 PyTorch …", "⏳ Loading PyTorch …"),
    "dry.sample_text": (
        "📝 {path} 中没有文本；训练时会在那里创建示例文本，下面按示例文本估算。",
        "📝 There is no text in {path}; training will create sample text there, on which the figures "
        "below are based.",
    ),
    "dry.time": (
        "⏳ 每步 {step:.2g} 秒（{speed:,.0f} 字节/秒） | 每轮约 {epoch} | 共约 {total}",
        "⏳ {step:.2g} s a step ({speed:,.0f} bytes/s) | about {epoch} an epoch | {total} in all",
    ),
    "dry.time_planned": (
        "⏳ 每步 {step:.2g} 秒（{speed:,.0f} 字节/秒） | 每轮约 {epoch} | {total}内约 {steps:,} 步",
        "⏳ {step:.2g} s a step ({speed:,.0f} bytes/s) | about {epoch} an epoch | "
        "about {steps:,} steps in {total}",
    ),
    "dry.memory": (
        "🧮 内存: 实测峰值 {peak:.1f} GB | 检查点每个约 {checkpoint:.0f} MB，最多占用磁盘约 {disk:.0f} MB",
        "🧮 Memory: {peak:.1f} GB at the most, measured | a checkpoint is about {checkpoint:.0f} MB, "
        "all files at most about {disk:.0f} MB",
    ),
    "dry.disk": (
        "🧮 检查点每个约 {checkpoint:.0f} MB，最多占用磁盘约 {disk:.0f} MB",
        "🧮 A checkpoint is about {checkpoint:.0f} MB, all files at most about {disk:.0f} MB",
    ),
    "dry.timing": ("⏳ 正在试跑几步 …", "⏳ Timing a few steps …"),
    "dry.done": (
        "ℹ️ 这只是试算（--dry_run）：没有写入任何文件。",
        "ℹ️ This was a trial (--dry_run): nothing was written.",
    ),
    "dry.resume": (
        "--dry_run 和 --resume 只能给一个：试算从头训练的用时。",
        "Give --dry_run or --resume, not both: the estimate is for training anew.",
    ),
    "train.model": (
        "🧠 模型: {parameters:.2f}M 参数 | 每轮 {batches} 批 | 共 {steps} 步",
        "🧠 Model: {parameters:.2f}M parameters | {batches} batches an epoch | {steps} steps in all",
    ),
    "train.model_by_time": (
        "🧠 模型: {parameters:.2f}M 参数 | 每轮 {batches} 批 | 训练 {minutes:g} 分钟",
        "🧠 Model: {parameters:.2f}M parameters | {batches} batches an epoch | "
        "{minutes:g} minutes of training",
    ),
    "train.set_aside": (
        "📦 上一次训练的检查点和日志已移到 {path}。",
        "📦 Checkpoints and log of the run before were moved to {path}.",
    ),
    "train.estimate": (
        "⏳ 每轮约 {epoch}，预计还需约 {total}（Ctrl-C 会保存后停止）",
        "⏳ About {epoch} an epoch, {total} to go (Ctrl-C saves and stops)",
    ),
    "train.quicker": (
        "   想快些：--max_minutes 30 按时间训练（--preset fast 学得最快，--preset tiny 是小模型）",
        "   Quicker: --max_minutes 30 plans the time (--preset fast learns most, tiny is a small model)",
    ),
    "progress.bar": (
        "已用 {elapsed} · 剩余 {remaining}",
        "{elapsed} gone · {remaining} left",
    ),
    "progress.speed": ("{speed:,.0f} 字节/秒", "{speed:,.0f} bytes/s"),
    "time.seconds": ("{count:.0f} 秒", "{count:.0f} s"),
    "time.minutes": ("{count:.0f} 分钟", "{count:.0f} min"),
    "time.hours": ("{count:.1f} 小时", "{count:.1f} h"),
    "time.days": ("{count:.0f} 天", "{count:.0f} days"),
    "train.epoch": (
        "\n📅 Epoch {epoch}/{epochs}\n----------------------------------------",
        "\n📅 Epoch {epoch}/{epochs}\n----------------------------------------",
    ),
    "train.epoch_by_time": (
        "\n📅 Epoch {epoch}\n----------------------------------------",
        "\n📅 Epoch {epoch}\n----------------------------------------",
    ),
    "train.batch": (
        "  批次 {batch:3d} | 损失: {loss:.4f} | 困惑度: {perplexity:.2f} | LR: {lr:.6f}",
        "  Batch {batch:3d} | loss: {loss:.4f} | perplexity: {perplexity:.2f} | LR: {lr:.6f}",
    ),
    "train.evaluation": (
        "📊 评估损失: {loss:.4f} | 困惑度: {perplexity:.2f}",
        "📊 Held-out loss: {loss:.4f} | perplexity: {perplexity:.2f}",
    ),
    "train.epoch_detail": (
        "   每字节比特: {eval_bits_per_byte:.4f} | 训练损失: {train_loss:.4f} | "
        "速度: {tokens_per_second:,.0f} 字节/秒",
        "   bits per byte: {eval_bits_per_byte:.4f} | training loss: {train_loss:.4f} | "
        "speed: {tokens_per_second:,.0f} bytes/s",
    ),
    "train.sample": ("   样本: {text}", "   sample: {text}"),
    "train.saved": ("   已保存: {path}", "   saved: {path}"),
    "train.saved_best": (
        "   已保存: {path}（目前最好）",
        "   saved: {path} (the best so far)",
    ),
    "train.stopped_early": (
        "\n🛑 评估损失已连续 {epochs} 轮没有下降，提前结束。",
        "\n🛑 The held-out loss has not fallen for {epochs} epochs; the run ends early.",
    ),
    "train.best": (
        "🏅 第 {epoch} 轮的评估损失最低，模型取自该轮。",
        "🏅 Epoch {epoch} had the lowest held-out loss; the model is taken from it.",
    ),
    "train.done": (
        "\n🎉 训练完成！\n⏱️ 总训练时间: {seconds:.2f} 秒\n📉 最终损失: {loss:.4f}\n"
        "🎯 最终困惑度: {perplexity:.2f}",
        "\n🎉 Training finished!\n⏱️ Total time: {seconds:.2f} s\n📉 Final loss: {loss:.4f}\n"
        "🎯 Final perplexity: {perplexity:.2f}",
    ),
    "train.gain": (
        "   训练损失: 开始 {start:.4f} → 最后一轮 {end:.4f} | 评估损失: 第一轮 {first:.4f} → 最低 {best:.4f}",
        "   training loss: {start:.4f} at first → {end:.4f} in the last epoch | "
        "held-out loss: {first:.4f} after the first epoch → {best:.4f} at best",
    ),
    "train.files": (
        "💾 模型: {model}\n   检查点: {checkpoints}\n   日志: {log}",
        "💾 Model: {model}\n   Checkpoints: {checkpoints}\n   Log: {log}",
    ),
    "train.next": (
        "💡 这样小的模型会学到您文本的用词和文风，但不会推理，说的话也不保证属实。接下来：\n"
        "   {chat_program} --mode demo{model}\n"
        "   {chat_program} --mode interactive{model}\n"
        "   {train_program} --mode evolve --cycles 3{places}",
        "💡 So small a model learns the words and the style of your text; it does not reason, and "
        "what it says need not be true. Next:\n"
        "   {chat_program} --mode demo{model}\n"
        "   {chat_program} --mode interactive{model}\n"
        "   {train_program} --mode evolve --cycles 3{places}",
    ),
    "train.interrupted": (
        "已在第 {step} 步停止，进度保存在 {path}。",
        "Stopped at step {step}; everything is saved in {path}.",
    ),
    "train.killed": (
        "已立即停止；用 --resume 可从上次保存处继续。",
        "Stopped at once; --resume goes on from the last save.",
    ),
    "train.diverged": (
        "第 {step} 步的损失或梯度不是有限的数，训练已停止，之前的检查点完好；请用更小的 --lr 重新训练。",
        "The loss or gradient of step {step} is not finite; training has stopped and earlier "
        "checkpoints are intact. Train again with a smaller --lr.",
    ),
    "resume.from": (
        "⏯️ 从第 {epoch} 轮第 {batch} 批继续。",
        "⏯️ Going on from epoch {epoch}, batch {batch}.",
    ),
    "resume.none": (
        "ℹ️ 没有可继续的检查点，从头开始训练。",
        "ℹ️ There is no checkpoint to go on from; training starts anew.",
    ),
    "resume.finished": (
        "ℹ️ 这次训练已完成全部 {epochs} 轮；用更大的 --epochs 或 --max_minutes 可继续训练。",
        "ℹ️ This run has done all its {epochs} epochs; a larger --epochs or --max_minutes goes on.",
    ),
    "resume.stopped_early": (
        "ℹ️ 这次训练因评估损失连续 {epochs} 轮没有下降而提前结束；用更大的 --patience 可继续训练。",
        "ℹ️ This run ended early, after {epochs} epochs without a lower held-out loss; a larger "
        "--patience goes on.",
    ),
    "resume.damaged": (
        "⚠️ 检查点 {path} 已损坏，改用更早的检查点。",
        "⚠️ Checkpoint {path} is damaged; trying an older one.",
    ),
    "resume.differs": (
        "检查点是用 {name}={saved} 训练的，与现在的 {value} 不同；请改回来，或去掉 --resume 重新开始。",
        "The checkpoint was trained with {name}={saved}, not {value}; change it back, or train "
        "anew without --resume.",
    ),
    "resume.text_changed": (
        "训练或评估文本与检查点保存时不同；请恢复原来的文本，或去掉 --resume 重新开始。",
        "The training or held-out text is not what it was at the checkpoint; restore it, or train "
        "anew without --resume.",
    ),
    "resume.not_exact": (
        "⚠️ {name} 现在是 {value}，检查点保存时是 {saved}：结果不会逐位相同。",
        "⚠️ {name} is {value} now and was {saved} at the checkpoint: the result will not be "
        "bit-identical.",
    ),
    # Knowledge and evolution
    "knowledge.missing": (
        "找不到知识库 {path}；请检查 --knowledge_dir。",
        "There is no knowledge base at {path}; check --knowledge_dir.",
    ),
    "knowledge.empty": (
        "知识库 {path} 中没有可用的事实或段落（{problems} 行有误）；请添加 .jsonl 事实或 .txt 段落。",
        "The knowledge base {path} holds no usable fact or passage ({problems} faulty lines); add "
        "facts as .jsonl or passages as .txt.",
    ),
    "knowledge.wordings": (
        "{path} 的格式不对（关系 {relation!r}）；请按自带的 wordings.json 书写："
        "陈述要有 subject 和 object，提问要有 subject 而没有 object。",
        "{path} is not of the right form (relation {relation!r}); write it like the wordings.json "
        "that comes with the program: statements hold subject and object, questions "
        "subject and no object.",
    ),
    "knowledge.found": (
        "📖 知识库: {path} | 事实 {facts:,} | 段落 {passages:,} | 有误 {problems}",
        "📖 Knowledge base: {path} | {facts:,} facts | {passages:,} passages | {problems} faulty",
    ),
    "knowledge.none": (
        "📖 {path} 中没有知识；以训练文本本身为知识库。",
        "📖 There is no knowledge in {path}: the training text itself is taught.",
    ),
    "knowledge.problem": (
        "⚠️ {path} 第 {line} 行未采用：{reason}",
        "⚠️ {path}, line {line} was left out: {reason}",
    ),
    "knowledge.more_problems": (
        "⚠️ 还有 {count} 处未采用，全部列在 {path}",
        "⚠️ {count} more were left out; all are listed in {path}",
    ),
    "knowledge.not_json": ("不是有效的 JSON", "not valid JSON"),
    "knowledge.no_object": ("不是 JSON 对象", "not a JSON object"),
    "knowledge.no_field": (
        "{name} 缺失、为空，或不是单行文字",
        "{name} is missing, empty, or no text of one line",
    ),
    "knowledge.no_language": (
        "lang 是 {value!r}，应为 zh 或 en",
        "lang is {value!r}, it must be zh or en",
    ),
    "knowledge.aliases": (
        "aliases 不是由单行文字组成的列表",
        "aliases is no list of texts of one line",
    ),
    "knowledge.same_id": (
        "编号 {id!r} 已用于 {file} 第 {line} 行",
        "the id {id!r} is already that of {file}, line {line}",
    ),
    "knowledge.repeated": (
        "与 {file} 第 {line} 行是同一个事实（{object}）",
        "the same fact as {file}, line {line} ({object})",
    ),
    "knowledge.contradicts": (
        "与 {file} 第 {line} 行矛盾，那里是 {object}",
        "contradicts {file}, line {line}, which says {object}",
    ),
    "knowledge.long": (
        "太长：问题和答案放不进模型的 {most} 字节窗口",
        "too long: question and answer do not fit into the model's window of {most} bytes",
    ),
    "evolve.no_model": (
        "ℹ️ 还没有训练好的模型，先训练一个基础模型。",
        "ℹ️ There is no trained model yet; a base model is trained first.",
    ),
    "evolve.other_text": (
        "⚠️ 这个模型不是用现在这份文本和划分训练的，评估文本中可能有它见过的内容；"
        "请使用训练时的 --data_dir 和 --eval_dir。",
        "⚠️ This model was not trained on this text and split: it may have seen some of the held-out "
        "text. Use the --data_dir and --eval_dir of its training.",
    ),
    "evolve.changed": (
        "{name} 与被中断的进化不同，无法继续；请改回来，或去掉 --resume 开始新的进化。",
        "{name} is not what it was in the evolution that was broken off; change it back, or begin a "
        "new one without --resume.",
    ),
    "evolve.nothing_to_resume": (
        "ℹ️ 没有未完成的进化，开始新的进化。",
        "ℹ️ There is no unfinished evolution; a new one begins.",
    ),
    "evolve.new_base": (
        "🌱 模型是重新训练的：以前的模型学会过什么，对它不算数，从头进化。",
        "🌱 The model was trained anew: what earlier ones had learnt does not count for it; its "
        "evolution begins afresh.",
    ),
    "evolve.sealed_anew": (
        "⚠️ 文本、说法或设置变了：留出的内容重新封存，之前学会的事实会重新检查。",
        "⚠️ Text, wordings or settings have changed: what is held out is sealed anew, and facts "
        "learnt before are checked again.",
    ),
    "evolve.cycle": ("\n🔄 进化周期 {cycle}/{cycles}", "\n🔄 Evolution cycle {cycle}/{cycles}"),
    "evolve.baseline": (
        "🔎 当前模型的评估损失: {loss:.4f} | 困惑度: {perplexity:.2f} | 每字节比特: {bits:.4f}",
        "🔎 Held-out loss of the current model: {loss:.4f} | perplexity: {perplexity:.2f} | "
        "bits per byte: {bits:.4f}",
    ),
    "evolve.weak": (
        "🎯 薄弱处: 抽问 {asked} 个未学的事实，{unknown} 个不会（答对 {share:.1%}，瞎猜 {chance:.1%}）；"
        "最多的是 {relations}",
        "🎯 Weak: asked {asked} facts not learnt yet, {unknown} are unknown ({share:.1%} right, "
        "{chance:.1%} by guessing); most of all {relations}",
    ),
    "evolve.plan": (
        "📝 本周期学 {facts} 个事实，每个约 {exposures} 次；复习以前学会的 {review} 个",
        "📝 This cycle teaches {facts} facts, about {exposures} times each, and reviews {review} "
        "learnt before",
    ),
    "evolve.few": (
        "⚠️ 每周期只够学 {facts} 个事实；少于 {needed} 个时无法证明改进。请加长 --max_minutes 或减少 --cycles。",
        "⚠️ A cycle has time for {facts} facts only; with fewer than {needed} no improvement can be "
        "proven. Give more --max_minutes or fewer --cycles.",
    ),
    "evolve.too_few_left": (
        "ℹ️ 只剩 {facts} 个事实没有学会：太少，学了也无法证明，不再教。",
        "ℹ️ Too few facts are left ({facts}) to prove that they were learnt: they are not taught.",
    ),
    "evolve.generated": (
        "🧪 生成 {documents:,} 条数据（{size:,} 字节：{kinds}），复习原文 {replay:,} 字节，"
        "防火墙剔除 {excluded} 条",
        "🧪 Generated {documents:,} documents ({size:,} bytes: {kinds}), replay of {replay:,} "
        "bytes, {excluded} rejected by the firewall",
    ),
    "kind.statement": ("陈述", "statements"),
    "kind.question": ("问答", "questions"),
    "kind.cloze": ("填空", "clozes"),
    "kind.passage": ("段落", "passages"),
    "kind.own": ("自答", "own answers"),
    "evolve.example": (
        "💬 {question}\n   之前: {before}\n   之后: {after} {mark}",
        "💬 {question}\n   before: {before}\n   after: {after} {mark}",
    ),
    "evolve.quality": (
        "📐 生成质量: 一致性 {consistency:.1%} | 相关性 {relevance:.3f} | "
        "重复 {repetition:.3f}（真实文本 {real_repetition:.3f}）| 有效 {validity:.1%}",
        "📐 Quality of generation: consistency {consistency:.1%} | relevance {relevance:.3f} | "
        "repetition {repetition:.3f} (real text {real_repetition:.3f}) | valid {validity:.1%}",
    ),
    "evolve.matches": (
        "📋 新事实、从未训练过的问法，答对: {vault_match_before:.1%} → {vault_match_after:.1%}"
        "（瞎猜 {chance:.1%}）",
        "📋 New facts in wordings never trained on, right: {vault_match_before:.1%} → "
        "{vault_match_after:.1%} ({chance:.1%} by guessing)",
    ),
    "measure.facts": ("新事实答对的份额", "share of new facts answered right"),
    "measure.prose": ("评估文本的每字节比特", "bits per byte of held-out text"),
    "gate.better": (
        "无疑更好，其余没有变差",
        "better beyond doubt, and nothing else is worse",
    ),
    "gate.not_better": ("未证明更好", "not shown to be better"),
    "gate.prose_worse": (
        "不能排除对评估文本变差超过 0.01",
        "may be worse on held-out text by more than 0.01",
    ),
    "gate.forgotten": (
        "以前学会的事实忘了超过 2 个百分点（至少 2 个）",
        "more than 2 points of the facts learnt before, and at least two, are forgotten",
    ),
    "gate.canary": (
        "答出了不可能知道的事：留出内容可能泄漏",
        "it answers what nobody can know: something held out may have leaked",
    ),
    "gate.not_finite": ("测量结果不是有限的数", "a measure is not finite"),
    "evolve.promoted": ("✅ 采用新模型", "✅ New model kept"),
    "evolve.rejected": ("❌ 保留原模型", "❌ Old model kept"),
    "evolve.verdict": (
        "⚖️ {verdict}：{measure}改进 {improvement:.4f}（{confidence:.1%} 区间 {low:.4f} 到 {high:.4f}），"
        "{reason}",
        "⚖️ {verdict}: {measure} better by {improvement:.4f} ({confidence:.1%} interval {low:.4f} to "
        "{high:.4f}), {reason}",
    ),
    "evolve.verdict_few": (
        "⚖️ {verdict}：{measure}改进 {improvement:.4f}（可比的太少，给不出区间），{reason}",
        "⚖️ {verdict}: {measure} better by {improvement:.4f} (too little to compare for an interval), "
        "{reason}",
    ),
    "evolve.failed": (
        "❌ 本周期失败，原模型保持不变：{reason}",
        "❌ This cycle failed, the model is as it was: {reason}",
    ),
    "evolve.not_finite": (
        "新模型的评估损失不是有限的数。",
        "The held-out loss of the new model is not finite.",
    ),
    "evolve.not_reproduced": (
        "新模型的文件重新读入后，损失与保存前不同。",
        "The file of the new model, read again, does not have the losses it was saved with.",
    ),
    "evolve.stop_known": (
        "🏁 知识库中能教的事实都已学过，进化到此为止。",
        "🏁 All facts of the knowledge base that can be taught were learnt: evolution ends here.",
    ),
    "evolve.goes_on": (
        "   这一轮学到的没有丢：下一周期从它停下的地方接着训练。",
        "   What it learnt is not lost: the next cycle goes on from where it stopped.",
    ),
    "evolve.stop_rejected": (
        "🏁 连续六个周期没有被采用，进化到此为止；请增加知识或文本。",
        "🏁 Six cycles in a row were not kept: evolution ends here. Add knowledge or text.",
    ),
    "evolve.stop_time": (
        "🏁 剩下的时间不够再来一个周期，进化到此为止。",
        "🏁 There is no time left for another cycle: evolution ends here.",
    ),
    "evolve.table": (
        "\n📊 周期 | 采用 | 新事实 | 答对（之前 → 之后）| 旧事实仍对 | 评估文本变化 | 改进",
        "\n📊 cycle | kept | new facts | right (before → after) | old facts still right | "
        "held-out text | improvement",
    ),
    "evolve.row": (
        "   {cycle:4d} | {mark} | {facts:4d} | {before:>6} → {after:>6} | {retained:>6} | {prose:>7} | "
        "{improvement:.4f}",
        "   {cycle:4d} | {mark} | {facts:4d} | {before:>6} → {after:>6} | {retained:>6} | {prose:>7} | "
        "{improvement:.4f}",
    ),
    "evolve.stats": (
        "\n🧬 进化统计:\n  🔬 总进化次数: {total_evolutions}\n  ✅ 成功进化: {successful_evolutions}\n"
        "  ❌ 失败进化: {failed_evolutions}\n  📊 平均改进: {average_improvement:.4f}",
        "\n🧬 Evolution statistics:\n  🔬 Evolutions: {total_evolutions}\n"
        "  ✅ Successful: {successful_evolutions}\n  ❌ Failed: {failed_evolutions}\n"
        "  📊 Average improvement: {average_improvement:.4f}",
    ),
    # Talking
    "chat.loaded": (
        "🤖 已加载模型 {path} | {parameters:.2f}M 参数",
        "🤖 Loaded the model {path} | {parameters:.2f}M parameters",
    ),
    "chat.prompt": ("\n💬 {prompt}", "\n💬 {prompt}"),
    "chat.speed": (
        "   （{count} 字节，{speed:.0f} 字节/秒）",
        "   ({count} bytes, {speed:.0f} bytes/s)",
    ),
    "chat.cut": (
        "⚠️ 提示太长，模型只看得到最后 {kept} 字节（共 {size}）。",
        "⚠️ The prompt is long: the model sees its last {kept} bytes of {size}.",
    ),
    "chat.training": (
        "\n📈 最近一次训练: 第 {epoch} 轮 | 训练损失: {train_loss:.4f} | 评估损失: {eval_loss:.4f} | "
        "每字节比特: {eval_bits_per_byte:.4f}",
        "\n📈 Latest training: epoch {epoch} | training loss: {train_loss:.4f} | "
        "held-out loss: {eval_loss:.4f} | bits per byte: {eval_bits_per_byte:.4f}",
    ),
    "chat.no_training": ("\n📈 没有训练日志。", "\n📈 There is no training log."),
    "chat.no_evolution": (
        "🧬 还没有进化统计；用 {train_program} --mode evolve 开始。",
        "🧬 There are no evolution statistics yet; begin with {train_program} --mode evolve",
    ),
    "chat.more": ("... ", "... "),
    "chat.unknown": (
        "没有命令 /{name}，最接近的是 /{nearest}；/help 列出全部命令。",
        "There is no /{name}; the nearest is /{nearest}. /help lists all.",
    ),
    "chat.commands": (
        "/set 名称 值    改一项设置，例如 /set temperature 0.5\n"
        "/show          显示设置和对话长度\n"
        "/regen  /undo  重写上一个回答；收回上一轮\n"
        "/clear         忘掉对话\n"
        "/save 文件  /load 文件   保存、恢复对话和设置\n"
        '/bye           离开。多行文字用 """ 开始和结束。',
        "/set NAME VALUE  change a setting, such as /set temperature 0.5\n"
        "/show            show the settings and the length of the conversation\n"
        "/regen  /undo    write the last answer anew; take the last turn back\n"
        "/clear           forget the conversation\n"
        "/save FILE  /load FILE   keep or restore conversation and settings\n"
        '/bye             leave. Text of several lines begins and ends with """.',
    ),
    "chat.settings": (
        "⚙️ {settings}\n   对话：{turns} 轮，{size} 字节",
        "⚙️ {settings}\n   conversation: {turns} turns, {size} bytes",
    ),
    "chat.undone": ("↩️ 已收回：{text}", "↩️ Taken back: {text}"),
    "chat.nothing": ("还没有说过话。", "Nothing was said yet."),
    "chat.cleared": ("🧹 已忘掉对话。", "🧹 The conversation is forgotten."),
    "chat.no_file": (
        "请给出文件名，例如 /save 对话.json。",
        "Name a file, such as /save talk.json.",
    ),
    "chat.saved": ("💾 已保存 {turns} 轮到 {path}", "💾 Saved {turns} turns to {path}"),
    "chat.restored": ("📂 已从 {path} 恢复 {turns} 轮", "📂 Restored {turns} turns from {path}"),
    "score.file": (
        "📏 {path} | {size:,} 字节 | 每字节比特: {bits:.4f} | 困惑度: {perplexity:.2f}",
        "📏 {path} | {size:,} bytes | bits per byte: {bits:.4f} | perplexity: {perplexity:.2f}",
    ),
    "score.empty": ("📏 {path} | 空文件", "📏 {path} | empty"),
    "usage.files": (
        "--mode score 需要文件：{chat_program} --mode score 文件…",
        "--mode score needs files: {chat_program} --mode score FILE...",
    ),
    "usage.no_files": (
        "只有 --mode score 才接受文件 {name}；要续写文字请用 --prompt。",
        "Only --mode score takes files, {name} is one; use --prompt for text to continue.",
    ),
    "usage.not_in": ("{flag} 不能用于 --mode {mode}。", "{flag} does not go with --mode {mode}."),
    "usage.prompt_or_file": (
        "--prompt 和 --prompts_file 只能给一个。",
        "Give --prompt or --prompts_file, not both.",
    ),
    "chat.help": (
        "输入一段文字，模型会接着写下去。Ctrl-C 停止回答；输入 quit、exit、q 或按 Ctrl-D 离开；"
        "/help 列出命令。",
        "Type some text and the model goes on writing. Ctrl-C stops an answer; quit, exit, q or "
        "Ctrl-D leaves; /help lists commands.",
    ),
    "chat.input": ("\n👤 > ", "\n👤 > "),
    "chat.bye": ("👋 再见！", "👋 Goodbye!"),
    # Report
    "report.written": ("📈 训练报告: {path}", "📈 Report: {path}"),
    "report.missing": (
        "ℹ️ 安装 matplotlib 后会画出训练报告 training_report.png：pip install matplotlib",
        "ℹ️ With matplotlib a training_report.png is drawn too: pip install matplotlib",
    ),
    "report.loss": ("损失", "Loss"),
    "report.batches": ("训练（单个批次）", "training (single batches)"),
    "report.train": ("训练（每轮平均）", "training (mean of the epoch)"),
    "report.heldout": ("评估（留出文本）", "held out"),
    "report.step": ("步", "step"),
    "report.nats": ("nat / 字节", "nats per byte"),
    "report.rate": ("学习率", "Learning rate"),
    "report.speed": ("速度（字节/秒）", "Speed (bytes/s)"),
    "report.minutes": ("分钟", "minutes"),
    "report.evolution": (
        "进化：新模型的改进及其区间",
        "Evolution: gain of the new model",
    ),
    "report.promoted": ("采用", "kept"),
    "report.rejected": ("未采用", "not kept"),
    "report.cycle": ("周期", "cycle"),
    "report.facts": ("新事实答对（百分点）", "new facts right (points)"),
    "report.prose": ("留出文本（比特 / 字节）", "held-out text (bits per byte)"),
    # Export
    "export.done": ("💾 已导出 {form}：{files}", "💾 Exported as {form}: {files}"),
    "export.card": (
        "# 用 H2Q-Evo 训练的字节级语言模型\n\n"
        "- 参数: {parameters:,}（{layers} 层，宽 {width}，{heads} 头，上下文 {context} 字节）\n"
        "- 结构: GPT-NeoX，顺序残差；词汇表是 256 个字节（UTF-8），0 填充，255 结束文本\n"
        "- 取自第 {epoch} 轮（第 {step} 步），留出文本上的损失 {loss}（每字节，nat）；进化周期 {cycle}\n\n"
        "## 限制\n\n"
        "这样小的模型学到的是训练文本的用词和文风；它不会推理，说的话也不保证属实，还可能原样复述训练文本。"
        "分享之前，请确认训练文本允许您这样做。\n\n"
        "## 来历\n\n```json\n{provenance}\n```\n",
        "# A byte-level language model trained with H2Q-Evo\n\n"
        "- {parameters:,} parameters ({layers} layers, width {width}, {heads} heads, context of "
        "{context} bytes)\n"
        "- GPT-NeoX with sequential residuals; the vocabulary is the 256 bytes (UTF-8), 0 pads, 255 "
        "ends a text\n"
        "- from epoch {epoch} (step {step}), loss on held-out text {loss} (nats per byte); "
        "evolution cycle {cycle}\n\n"
        "## Limits\n\n"
        "So small a model learns the words and the style of its text; it does not reason, what it "
        "says need not be true, and it may repeat its text verbatim. Before you share it, make sure "
        "that the text allows it.\n\n"
        "## Provenance\n\n```json\n{provenance}\n```\n",
    ),
    "export.card_safetensors": (
        "{about}\n## 使用\n\n`model.safetensors` 是权重，`config.json` 是尺寸；张量的名字与 `h2q.model.Transformer` 相同。\n",
        "{about}\n## Use\n\n`model.safetensors` holds the weights, `config.json` the dimensions; tensors "
        "have the names of `h2q.model.Transformer`.\n",
    ),
    "export.card_transformers": (
        "{about}\n## 使用\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained(".")\n'
        'tokenizer = AutoTokenizer.from_pretrained(".")\n'
        'tokens = tokenizer("人工智能是", return_tensors="pt").input_ids\n'
        "print(tokenizer.decode(model.generate(tokens, max_new_tokens=120, do_sample=True)[0]))\n```\n",
        "{about}\n## Use\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained(".")\n'
        'tokenizer = AutoTokenizer.from_pretrained(".")\n'
        'tokens = tokenizer("The Moon is", return_tensors="pt").input_ids\n'
        "print(tokenizer.decode(model.generate(tokens, max_new_tokens=120, do_sample=True)[0]))\n```\n",
    ),
    # Help
    "help.format": (
        "导出格式：safetensors（原样）或 transformers（GPT-NeoX，默认：safetensors）",
        "format of the export: safetensors (as it is, default) or transformers (GPT-NeoX)",
    ),
    "help.export_dir": (
        "导出到哪个目录（默认：h2q_export）",
        "where to export to (default: h2q_export)",
    ),
    "help.train": (
        "用您自己的文本在本机训练语言模型，或让它自我进化。完全离线。",
        "Train a language model on your own text, or let it evolve. Entirely offline.",
    ),
    "help.chat": (
        "与本机训练好的模型对话。完全离线。",
        "Talk to the model trained on this machine. Entirely offline.",
    ),
    "help.usage": ("用法: ", "usage: "),
    "help.positionals": ("文件", "files"),
    "help.options": ("参数", "options"),
    "help.help": ("显示本说明", "show this help"),
    "help.version": ("显示版本", "show the version"),
    "help.completion": (
        "显示命令行补全的脚本（需要安装 shtab）",
        "show the script that completes this command in a shell (needs shtab installed)",
    ),
    "help.lang": (
        "界面语言（默认：环境变量 H2Q_LANG，或 zh）",
        "language (default: H2Q_LANG, or zh)",
    ),
    "help.mode_train": (
        "运行模式（默认：train）",
        "train a model, or let the trained one evolve (default: train)",
    ),
    "help.epochs": ("训练轮数（默认：10）", "epochs (default: 10)"),
    "help.max_minutes": (
        "训练多少分钟（代替 --epochs）：学习率按实测速度安排，时间到时恰好降完；进化模式下为进化的总时间",
        "minutes to train, in place of --epochs: the measured speed decides the number of steps, "
        "and the learning rate has decayed when the time is up; with --mode evolve, minutes of "
        "all cycles together",
    ),
    "help.cycles": ("进化周期数（默认：3）", "evolution cycles (default: 3)"),
    "help.data_dir": (
        "训练数据：目录（其下所有 .txt）或一个文件（默认：data/training_data，为空时自动创建示例文本）",
        "training text: a directory (all .txt below it) or one file (default: data/training_data; "
        "sample text is created when there is none)",
    ),
    "help.eval_dir": (
        "评估文本：目录或文件（默认：从训练数据中留出约 5%%）",
        "held-out text: a directory or file (default: about 5%% of the training text)",
    ),
    "help.encoding": (
        "训练和评估文本的编码（默认：自动识别 UTF-8、UTF-16、GB18030）",
        "encoding of the text (default: detected among UTF-8, UTF-16, GB18030)",
    ),
    "help.knowledge_dir": (
        "知识库目录（默认：data/knowledge_base，没有时用自带的）",
        "knowledge base (default: data/knowledge_base, or the one that comes with the program)",
    ),
    "help.output_dir": (
        "输出目录：检查点、日志、模型（默认：当前目录）",
        "where checkpoints, log and model go (default: the current directory)",
    ),
    "help.resume": (
        "从最新的有效检查点继续；进化模式下从中断的周期和阶段继续",
        "go on from the newest valid checkpoint; with --mode evolve, in the cycle and phase where "
        "it was broken off",
    ),
    "help.preset": (
        "预设：readme（README 的 8M 模型，默认）、fast（同样的模型，学得快得多）或 tiny（约 1M 参数，先试试看）",
        "readme (the README's 8M model, default), fast (the same model learns much faster) or tiny "
        "(about 1M parameters, for a first try)",
    ),
    "help.config": (
        "从 TOML 文件读取设置；命令行上给出的参数优先",
        "read settings from a TOML file; what is given on the command line wins",
    ),
    "help.tensorboard": (
        "另外写出 TensorBoard 曲线（需要安装 tensorboard）",
        "write curves for TensorBoard too (needs tensorboard installed)",
    ),
    "help.patience": (
        "评估损失连续多少轮没有下降就提前结束（默认：0，不提前）",
        "end early after this many epochs without a lower held-out loss (default: 0, never)",
    ),
    "help.dry_run": (
        "试算：找到的数据、参数、内存、预计时间；不写入任何文件",
        "a trial: data found, parameters, memory, estimated time; writes nothing",
    ),
    "help.quiet": (
        "只显示警告和错误",
        "show warnings and errors only",
    ),
    "help.lr": (
        "学习率峰值（默认：由预设决定，readme 为 1e-4）",
        "peak learning rate (default: the preset's; readme: 1e-4)",
    ),
    "help.batch_size": ("批次大小（默认：8）", "windows a batch (default: 8)"),
    "help.seed": ("随机种子（默认：42）", "random seed (default: 42)"),
    "help.device": ("计算设备（默认：auto）", "device (default: auto)"),
    "help.dtype": (
        "计算精度（默认：auto，处理器支持时用 bfloat16）",
        "precision of the computation (default: auto, bfloat16 where the processor has it)",
    ),
    "help.mode_chat": (
        "demo：续写四个提示并显示统计；interactive：交互对话；score：给文件打分；export：导出给别的"
        "工具（默认：demo）",
        "demo: continue four prompts and show statistics; interactive: type your own; score: how "
        "well the model expects files; export: for other tools (default: demo)",
    ),
    "help.model": (
        "模型文件（默认：h2q_project/h2q_trained_model.pt）",
        "model file (default: h2q_project/h2q_trained_model.pt)",
    ),
    "help.prompt": (
        "要续写的文字，代替演示的四个提示；交互模式下为第一句；- 表示从标准输入读取",
        "text to continue, in place of the demo's four; the first turn in interactive mode; - reads "
        "it from standard input",
    ),
    "help.temperature": (
        "采样温度，0 为贪心（默认：0.8）",
        "sampling temperature, 0 is greedy (default: 0.8)",
    ),
    "help.files": ("要打分的文件（--mode score）", "files to score (--mode score)"),
    "help.lines": (
        "给每一行打分（--mode score）：每字节比特、行号、开头",
        "score every line (--mode score): bits per byte, number, beginning",
    ),
    "help.prompts_file": (
        "提示文件：每行一个，或 .jsonl；- 表示标准输入",
        "prompts to continue: one a line, or .jsonl; - is standard input",
    ),
    "help.json": (
        "标准输出上每行一个 JSON 对象，没有别的",
        "one JSON object a line on stdout and nothing else",
    ),
    "help.top_k": (
        "只从最可能的 k 个字节中选，0 为不限（默认：0）",
        "only the k most likely bytes, 0: all (default: 0)",
    ),
    "help.top_p": (
        "只从合计概率达到 p 的最可能字节中选（默认：1）",
        "only the likeliest bytes that together have probability p (default: 1)",
    ),
    "help.min_p": (
        "只选概率不低于最可能者这一比例的字节（默认：0）",
        "only bytes at least this share as likely as the likeliest (default: 0)",
    ),
    "help.repetition_penalty": (
        "对最近 64 字节中出现过的字节的惩罚，1 为无（默认：1）",
        "penalty on bytes that are among the last 64, 1: none (default: 1)",
    ),
    "help.loop_guard": (
        "同一段文字连续出现 N 次时停止，0 为不管（默认：0）",
        "stop when the same passage came N times in a row, 0: never (default: 0)",
    ),
    "help.stop": (
        "写到这个字符串时停止（不输出它）；可多次给出；\\n 表示换行",
        "stop before this string; may be given several times; \\n is a new line",
    ),
    "help.max_length": (
        "最多生成的字节数（默认：200）",
        "bytes to generate at the most (default: 200)",
    ),
}
