"""The catalogue: every sentence a person reads, in Chinese and in English.

A sentence is named by a key and filled with ``str.format`` values. The lines that the README
shows (epoch, batch, evaluation, final block, statistics) keep its format to the letter.
"""

import os
import sys

from h2q.system.messages import (
    checkpoint,
    cli,
    datasets,
    evaluation,
    evolution,
    generation,
    system,
    training,
)

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
    key: sentences
    for room in (system, datasets, checkpoint, training, evaluation, generation, evolution, cli)
    for key, sentences in room.MESSAGES.items()
}
