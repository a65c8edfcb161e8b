"""Sentences on model files, checkpoints and exports."""

MESSAGES: dict[str, tuple[str, str]] = {
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
        "{path} is damaged, or is not a model file; replace it from a backup or train again.",
    ),
    "model.foreign": (
        "{path} 不是 H2Q-Evo 的模型文件，或不是这里需要的那一种；请指定 h2q_trained_model.pt。",
        "{path} is not a model file of H2Q-Evo, or not the kind needed here; name an h2q_trained_model.pt.",
    ),
    "model.version": (
        "{path} 的格式版本 {version!r} 不受支持；请升级程序或重新训练。",
        "{path} has format version {version!r}, which is not supported; upgrade or train again.",
    ),
    "model.config": (
        "{path} 中的配置无效：{reason}",
        "{path} holds an unusable configuration: {reason}",
    ),
    "model.memory": (
        "{path} 中的记忆不是有效的计数；请指定完整的模型文件，或重新训练。",
        "The memory in {path} does not hold valid counts; name an intact model file or train again.",
    ),
    "model.dimensions": (
        "{path} 中的权重与它的配置尺寸不符；请指定完整的模型文件，或重新训练。",
        "The weights in {path} do not have the dimensions of its configuration; name an intact "
        "model file or train again.",
    ),
    "model.not_finite": (
        "{path} 中的权重 {name} 含有无穷大或 NaN（不是数）；请使用更早的检查点或重新训练。",
        "{path} holds weights that are infinite or NaN ({name}); use an older file or train again.",
    ),
    "checkpoint.all_damaged": (
        "{path} 中的检查点全部损坏；请恢复备份，或去掉 --resume 重新开始。",
        "All checkpoints in {path} are damaged; restore a backup, or train anew without --resume.",
    ),
    "export.done": ("💾 已导出 {form}：{files}", "💾 Exported as {form}: {files}"),
    "export.alone": (
        "ℹ️ 其他工具得到的只是 Transformer，不含记忆：评估损失 {eval_loss:.4f}，加上记忆是 {memory_eval_loss:.4f}。",
        "ℹ️ Other tools get the Transformer alone, without the memory: held-out loss {eval_loss:.4f}; with "
        "the memory it is {memory_eval_loss:.4f}.",
    ),
    "export.card": (
        "# 用 H2Q-Evo 训练的字节级语言模型\n\n"
        "- 参数: {parameters:,}（{layers} 层，宽 {width}，{heads} 头，上下文 {context} 字节）\n"
        "- 结构: GPT-NeoX，顺序残差；词汇表是 256 个字节（UTF-8），0 用于填充，255 表示文本结束\n"
        "- 取自第 {epoch} 轮（第 {step} 步），留出文本上的损失 {loss}（每字节，nat）；进化周期 {cycle}\n\n"
        "## 限制\n\n"
        "这样小的模型学到的是训练文本的用词和文风；它不会推理，说的话也不保证属实，还可能原样复述训练文本。"
        "分享之前，请确认您有权公开训练文本的内容。\n\n"
        "## 来历\n\n```json\n{provenance}\n```\n",
        "# A byte-level language model trained with H2Q-Evo\n\n"
        "- {parameters:,} parameters ({layers} layers, width {width}, {heads} heads, context of "
        "{context} bytes)\n"
        "- GPT-NeoX with sequential residuals; the vocabulary is the 256 bytes (UTF-8), 0 is "
        "padding, 255 marks the end of a text\n"
        "- from epoch {epoch} (step {step}), loss on held-out text {loss} (nats per byte); "
        "evolution cycle {cycle}\n\n"
        "## Limits\n\n"
        "A model this small learns the words and the style of its text; it does not reason, what it "
        "says need not be true, and it may repeat its text word for word. Before you share it, make "
        "sure that you may share the text it was trained on.\n\n"
        "## Provenance\n\n```json\n{provenance}\n```\n",
    ),
    "export.card_safetensors": (
        "{about}\n## 使用\n\n`model.safetensors` 是权重，`config.json` 是尺寸；张量的名字与 `h2q.model.transformer.Transformer` 相同。\n",
        "{about}\n## Use\n\n`model.safetensors` holds the weights, `config.json` the dimensions; tensors "
        "have the names of `h2q.model.transformer.Transformer`.\n",
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
}
