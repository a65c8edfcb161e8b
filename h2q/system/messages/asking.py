"""Sentences on questions and their answers."""

MESSAGES: dict[str, tuple[str, str]] = {
    "ask.reading": ("⏳ 正在读事实和笔记 …", "⏳ Reading facts and notes …"),
    "ask.help": (
        "输入一个问题，回答来自您的事实和笔记，并注明出处。输入 quit、exit、q 或按 Ctrl-D 离开。",
        "Type a question; the answer comes from your facts and notes, with its place. quit, exit, q "
        "or Ctrl-D leaves.",
    ),
    "ask.input": ("\n❓ > ", "\n❓ > "),
    "ask.fact": ("{answer} ✓ {file}:{line}{about}", "{answer} ✓ {file}:{line}{about}"),
    "ask.about": (" ({about})", " ({about})"),
    "ask.line": ("📄 {file}:{line}: {answer}", "📄 {file}:{line}: {answer}"),
    "ask.contradicts": (
        "⚠️ 这些说法互相矛盾。",
        "⚠️ These contradict each other.",
    ),
    "ask.none": ("笔记里没有。", "Not in your notes."),
    "ask.guess": (
        "? {guess}（模型的猜测，没有出处）",
        "? {guess} (a guess of the model, without a source)",
    ),
    "ask.empty": ("问题是空的；请写一个问题。", "The question is empty; write one."),
    "ask.nothing": (
        "{path} 中没有事实也没有笔记；请放入 .jsonl 事实，或用 --data_dir 指明您的笔记。",
        "There are neither facts nor notes in {path}; put facts there as .jsonl, or name your notes "
        "with --data_dir.",
    ),
}
