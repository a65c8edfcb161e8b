"""Sentences on training and resuming."""

MESSAGES: dict[str, tuple[str, str]] = {
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
        "   {characters:,} 个字符 | {lines:,} 行 | 训练 {train:,} 字节{validation} | "
        "评估 {heldout:,} 字节",
        "   {characters:,} characters | {lines:,} lines | training {train:,} bytes{validation} | "
        "held out {heldout:,} bytes",
    ),
    "train.validation": (" | 验证 {size:,} 字节", " | validation {size:,} bytes"),
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
    "train.left_out": (
        "⏭️ {count:,} 个未读：{names}（{reason}）",
        "⏭️ {count:,} not read: {names} ({reason})",
    ),
    "train.skipped": ("⏭️ 跳过 {path}：{reason}", "⏭️ Skipped {path}: {reason}"),
    "train.model": (
        "🧠 模型: {parameters:.2f}M 参数 | 每轮 {batches} 批 | 共 {steps} 步",
        "🧠 Model: {parameters:.2f}M parameters | {batches} batches an epoch | {steps} steps in all",
    ),
    "train.model_by_time": (
        "🧠 模型: {parameters:.2f}M 参数 | 每轮 {batches} 批 | 训练 {minutes:g} 分钟",
        "🧠 Model: {parameters:.2f}M parameters | {batches} batches an epoch | "
        "{minutes:g} minutes of training",
    ),
    "train.counting": ("正在数训练文本…", "Counting the text …"),
    "train.memory": (
        "🗂️ 记忆: 至多 {order} 个字节的段落 | {size:.1f} MB",
        "🗂️ Memory: passages of up to {order} bytes | {size:.1f} MB",
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
        "   Quicker: --max_minutes 30 trains for that long (--preset fast learns most, tiny is a small model)",
    ),
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
    "progress.speed": ("{speed:,.0f} 字节/秒", "{speed:,.0f} bytes/s"),
    "train.epoch_detail": (
        "   每字节比特: {eval_bits_per_byte:.4f} | 训练损失: {train_loss:.4f} | "
        "速度: {tokens_per_second:,.0f} 字节/秒",
        "   bits per byte: {eval_bits_per_byte:.4f} | training loss: {train_loss:.4f} | "
        "speed: {tokens_per_second:,.0f} bytes/s",
    ),
    "train.epoch_memory": (
        "   加上记忆: 评估损失 {memory_eval_loss:.4f} | 每字节比特 {memory_eval_bits_per_byte:.4f}",
        "   with the memory: held-out loss {memory_eval_loss:.4f} | "
        "bits per byte {memory_eval_bits_per_byte:.4f}",
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
        "💡 A model this small learns the words and the style of your text; it does not reason, and "
        "what it says need not be true. Next:\n"
        "   {chat_program} --mode demo{model}\n"
        "   {chat_program} --mode interactive{model}\n"
        "   {train_program} --mode evolve --cycles 3{places}",
    ),
    "train.next_facts": (
        "   （进化会继续学习您的文本；把自己的事实放进 {path}，它就教这些事实）",
        "   (evolution goes on with your text; put facts of your own into {path} to have them taught)",
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
        "第 {step} 步的损失或梯度不是有限的数（无穷大或 NaN），训练已停止，之前的检查点完好；请用更小的 --lr 重新训练。",
        "The loss or gradient of step {step} is not finite (infinite or NaN); training has stopped "
        "and earlier checkpoints are intact. Train again with a smaller --lr.",
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
}
