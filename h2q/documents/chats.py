"""Exports of messengers as dialogue: ``Name: text``, without dates and without what has no text.

WhatsApp writes a text file, with dates as the phone's language has them; Telegram writes
``result.json``. WeChat has no export of its own. Does not look at media.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from h2q.documents.lines import MOST_CHARACTERS, lines_of
from h2q.system.errors import DocumentError

# 31.12.20, 21:15 | 12/31/20, 9:15 PM | 2020-12-31, 9:15 p. m. | 2020/12/31 下午9:15
_DATE = r"\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}\.?"
_TIME = r"(?:[^\W\d]{1,4}\s?)?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:\s?[ap]\.?\s?m\.?| Uhr)?"
_MESSAGE = re.compile(
    rf"[\u200e\u200f]*(?:\[{_DATE},?\s{_TIME}\]\s|{_DATE},?\s{_TIME}\s[-–]\s)(?P<said>.*)",
    re.IGNORECASE,
)
_NAME_AND_TEXT = re.compile(r"[\u200e\u200f~]*\s*(?P<name>[^:]{1,80}): (?P<text>.*)")
# <Media omitted>, IMG-1.jpg (file attached); on phones of Apple a left-to-right mark comes first.
_NO_TEXT = re.compile(r"\u200e.*|<[^<>]+>|\S+\.\w{2,5} \([^()]+\)|null", re.DOTALL)
_EDITED = re.compile(r"\s*\u200e?<[^<>]+>$")
_MESSAGES_OF_TELEGRAM = re.compile(r'"messages"\s*:\s*\[')
_KEPT_CHARACTERS = 1 << 12  # at the end of a piece in which no list of messages begins


def is_whatsapp(text: str) -> bool:
    """Whether ``text`` begins as an export of WhatsApp does."""
    return _MESSAGE.match(text.lstrip("\ufeff\n\r ")) is not None


def whatsapp_dialogue(pieces: Iterable[str]) -> Iterator[str]:
    """The messages of an export of WhatsApp, a line for each. Further lines of a message follow it.
    What the program itself writes is left out."""
    name, text = "", ""
    for line in lines_of(pieces):
        found = _MESSAGE.match(line)
        if found is None:
            text += "\n" + line
            continue
        yield from _spoken(name, text)
        message = _NAME_AND_TEXT.match(found["said"])
        name, text = (message["name"], message["text"]) if message else ("", "")
    yield from _spoken(name, text)


def _spoken(name: str, text: str) -> Iterator[str]:
    """``Name: text`` as a line, if that is what somebody said."""
    if name and not _NO_TEXT.fullmatch(text.strip()):
        text = _EDITED.sub("", text).strip() if "\u200e<" in text else text.strip()
        if text:
            yield f"{name}: {text}\n"


def telegram_dialogue(pieces: Iterable[str]) -> Iterator[str]:
    """The messages in a ``result.json`` of Telegram, of one chat or of all, a line for each.

    Raises ``DocumentError`` for another kind of JSON.
    """
    found = False
    for message in _telegram_messages(pieces):
        found = True
        if isinstance(message, dict):  # one of the program itself is from nobody
            yield from _spoken(str(message.get("from") or ""), _telegram_text(message.get("text")))
    if not found:
        raise DocumentError("document.no_chat")


def _telegram_text(text: Any) -> str:
    """A text of Telegram: a string, or a list of strings and of objects that hold one."""
    parts = text if isinstance(text, list) else [text]
    strings = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(part for part in strings if isinstance(part, str))


def _telegram_messages(pieces: Iterable[str]) -> Iterator[Any]:
    """The values in all lists called ``messages``, one in memory at a time."""
    decode = json.JSONDecoder().raw_decode
    waiting = ""
    within = False  # a list of messages
    for piece in pieces:
        waiting += piece
        start = 0
        while True:
            if not within:
                begin = _MESSAGES_OF_TELEGRAM.search(waiting, start)
                if begin is None:
                    waiting = waiting[start:][-_KEPT_CHARACTERS:]
                    break
                within, start = True, begin.end()
            start = _after_separators(waiting, start)
            if waiting.startswith("]", start):
                within = False
                continue
            try:
                value, start = decode(waiting, start)
            except (ValueError, RecursionError):  # the rest of it is in the next piece
                waiting = waiting[start:]
                break
            yield value
        if len(waiting) > MOST_CHARACTERS:
            raise DocumentError("document.damaged")


def _after_separators(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t\r\n,":
        start += 1
    return start
