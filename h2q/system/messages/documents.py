"""Why no text could be read out of a file."""

MESSAGES: dict[str, tuple[str, str]] = {
    "document.damaged": (
        "已损坏，或有密码保护",
        "damaged, or protected by a password",
    ),
    "document.bomb": (
        "解压后超过原来的 200 倍",
        "unpacks to more than 200 times its size",
    ),
    "document.entities": (
        "其中的 XML 声明了实体，不予读取",
        "its XML declares entities, which are not read",
    ),
    "document.long_line": (
        "有一行超过 16 MB",
        "a line of more than 16 MB",
    ),
    "document.no_chat": (
        "不是 Telegram 的聊天记录",
        "not a chat of Telegram",
    ),
    "document.pdf": (
        "执行 pip install pypdf 后可读",
        "pip install pypdf makes it readable",
    ),
}
