"""Sentences on talking and files of prompts."""

MESSAGES: dict[str, tuple[str, str]] = {
    "prompts.unreadable": (
        "无法读取提示文件 {path}：{reason}。",
        "The prompts file {path} cannot be read: {reason}.",
    ),
    "prompts.line": (
        "⚠️ {path} 第 {line} 行不能用，已略过：{reason}",
        "⚠️ {path}, line {line} cannot be used and is left out: {reason}",
    ),
    "prompts.broken": (
        "{path} 中有 {count} 行不能用（见上）；其余各行都已回答。",
        "{path}: {count} lines could not be used (see above); all others are answered.",
    ),
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
        "⚠️ The prompt is too long: the model sees only the last {kept} of its {size} bytes.",
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
        "/ask 问题      从您的事实和笔记中回答，注明出处\n"
        "/set 名称 值    改一项设置，例如 /set temperature 0.5\n"
        "/show          显示设置和对话长度\n"
        "/regen  /undo  重写上一个回答；收回上一轮\n"
        "/clear         忘掉对话\n"
        "/save 文件  /load 文件   保存、恢复对话和设置\n"
        '/bye           离开。多行文字用 """ 开始和结束。',
        "/ask QUESTION    answer from your facts and notes, with the place\n"
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
    "chat.nothing": ("还没有说过话。", "Nothing has been said yet."),
    "chat.cleared": ("🧹 已忘掉对话。", "🧹 The conversation is forgotten."),
    "chat.no_file": (
        "请给出文件名，例如 /save 对话.json。",
        "Name a file, such as /save talk.json.",
    ),
    "chat.saved": ("💾 已保存 {turns} 轮到 {path}", "💾 Saved {turns} turns to {path}"),
    "chat.restored": ("📂 已从 {path} 恢复 {turns} 轮", "📂 Restored {turns} turns from {path}"),
    "chat.help": (
        "输入一段文字，模型会接着写下去。Ctrl-C 停止回答；输入 quit、exit、q 或按 Ctrl-D 离开；"
        "/help 列出命令。",
        "Type some text and the model goes on writing. Ctrl-C stops an answer; quit, exit, q or "
        "Ctrl-D leaves; /help lists commands.",
    ),
    "chat.input": ("\n👤 > ", "\n👤 > "),
    "chat.bye": ("👋 再见！", "👋 Goodbye!"),
}
