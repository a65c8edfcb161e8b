"""The catalogue: every sentence that a person reads, in Chinese and in English.

A sentence has a key; ``{names}`` in it are filled in with ``str.format``. The sentences of a folder
are in the module of that name beside this one, called a room. ``cli`` also uses sentences of other
rooms, because it reports on everything. The room ``system`` also holds the sentences of ``config``,
and those that several folders share. The lines that the README shows (epoch, batch, evaluation,
final block, statistics) stay exactly as they are there. Does not print: that is for ``console``.
"""

import os
import sys

from h2q.system.messages import (
    asking,
    checkpoint,
    cli,
    datasets,
    documents,
    evaluation,
    evolution,
    generation,
    system,
    training,
)

LANGUAGES = ("zh", "en")
ROOMS = (
    *(system, documents, datasets, checkpoint, training, evaluation),
    *(generation, asking, evolution, cli),
)
# Key: the sentence in each of the languages.
MESSAGES: dict[str, tuple[str, str]] = {
    key: sentences for room in ROOMS for key, sentences in room.MESSAGES.items()
}
_language = "zh"
# How a person starts the two programs: {train_program} and {chat_program} in any sentence.
_programs = {
    "train_program": "python3 local_training_system.py",
    "chat_program": "python3 local_inference_demo.py",
}


def message(key: str, /, **values: object) -> str:
    """The sentence with that key, in the language in use."""
    return message_in(_language, key, **values)


def message_in(language: str, key: str, /, **values: object) -> str:
    """The sentence with that key in ``language``, where the language in use cannot be shown."""
    return MESSAGES[key][LANGUAGES.index(language)].format(**_programs, **values)


def language() -> str:
    """The language in use."""
    return _language


def set_language(language: str) -> None:
    """Chooses the language of all messages from now on: ``zh`` or ``en``."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is not one of {LANGUAGES}")
    _language = language


def default_language() -> str:
    """The language that ``H2Q_LANG`` names, if it is one of ours. Otherwise Chinese, or English
    where the encoding of stdout has no Chinese characters."""
    wanted = os.environ.get("H2Q_LANG", "")
    if wanted in LANGUAGES:
        return wanted
    try:
        "中".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "en"
    return "zh"


def set_programs(train: str, chat: str) -> None:
    """Sets the commands that start the two programs, as messages show them."""
    _programs.update(train_program=train, chat_program=chat)
