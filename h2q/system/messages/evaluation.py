"""Sentences on the scores of files and lines."""

MESSAGES: dict[str, tuple[str, str]] = {
    "score.not_text": (
        "{path} 不是可识别编码的文本；请先转成 UTF-8。",
        "{path} is not text in a recognised encoding; convert it to UTF-8 first.",
    ),
    "score.regular": (
        "{path} 不是普通文件；请给出文本文件。",
        "{path} is not a regular file; name a file of text.",
    ),
    "score.file": (
        "📏 {path} | {size:,} 字节 | 每字节比特: {bits:.4f} | 困惑度: {perplexity:.2f}",
        "📏 {path} | {size:,} bytes | bits per byte: {bits:.4f} | perplexity: {perplexity:.2f}",
    ),
    "score.empty": ("📏 {path} | 空文件", "📏 {path} | empty"),
}
