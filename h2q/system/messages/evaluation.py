"""Sentences on the scores of files and lines."""

MESSAGES: dict[str, tuple[str, str]] = {
    "score.file": (
        "📏 {path} | {size:,} 字节 | 每字节比特: {bits:.4f} | 困惑度: {perplexity:.2f}",
        "📏 {path} | {size:,} bytes | bits per byte: {bits:.4f} | perplexity: {perplexity:.2f}",
    ),
    "score.empty": ("📏 {path} | 空文件", "📏 {path} | empty"),
}
