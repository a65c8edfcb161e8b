"""Questions as people type them: the same words in lower case, without an end, politely, mistyped.

Templates are written with care, and people do not type so. These rules change a question before it
is trained on. Held-out questions are never changed, so their measures stay comparable. Does not
know templates or facts.
"""

import random
from collections.abc import Callable

Change = Callable[[str, random.Random], str]

_CHANGED_SHARE = 0.5  # of the questions; the others stay as they are written
_ENDS = "?？.。"
_MISTYPED_LETTERS = 4  # of a word, at least
GREETINGS = {
    "en": ("Hi, ", "Hello! ", "Excuse me, ", "Please: ", "Just asking: "),
    "zh": ("请问", "请问，", "你好，", "您好！", "请教一下，"),
}
THANKS = {
    "en": (" Please.", " Thanks!", " Thank you.", ", please?"),
    "zh": ("谢谢", "谢谢！", "，谢谢。", "多谢！"),
}


def lower_case(text: str, _: random.Random) -> str:
    """``text`` in small letters, names too."""
    return text.lower()


def drop_end(text: str, _: random.Random) -> str:
    """``text`` without the mark at its end."""
    return text.rstrip(_ENDS)


def exclaim(text: str, generator: random.Random) -> str:
    """``text`` with another mark at its end, or with more than one."""
    mark = "！" if text.endswith(("？", "。")) else "!"
    return text.rstrip(_ENDS) + generator.choice((mark, "??", "…"))


def western_end(text: str, _: random.Random) -> str:
    """``text`` with the marks of a keyboard that is not Chinese."""
    return text.translate(str.maketrans("？，：。", "?,:."))


def double_space(text: str, generator: random.Random) -> str:
    """``text`` with one of its spaces doubled, if it has any."""
    places = [index for index, letter in enumerate(text) if letter == " "]
    if not places:
        return text
    place = generator.choice(places)
    return f"{text[:place]} {text[place:]}"


def swap_letters(text: str, generator: random.Random) -> str:
    """``text`` with two neighbouring letters of a longer word in the wrong order. The first letter
    of a word stays. Text without such a word, as Chinese, stays as it is."""
    words = text.split(" ")
    places = [
        (number, index)
        for number, word in enumerate(words)
        if len(word) >= _MISTYPED_LETTERS and word.isascii()
        for index in range(1, len(word) - 1)
        if word[index : index + 2].isalpha() and word[index] != word[index + 1]
    ]
    if not places:
        return text
    number, index = generator.choice(places)
    word = words[number]
    words[number] = word[:index] + word[index + 1] + word[index] + word[index + 2 :]
    return " ".join(words)


def greet(lang: str) -> Change:
    """Puts a polite word of ``lang`` in front."""
    return lambda text, generator: generator.choice(GREETINGS[lang]) + text


def thank(lang: str) -> Change:
    """Puts a polite word of ``lang`` at the end, in place of the mark there if it begins with a
    comma."""

    def change(text: str, generator: random.Random) -> str:
        word = generator.choice(THANKS[lang])
        return (text.rstrip(_ENDS) if word.startswith((",", "，")) else text) + word

    return change


# In this order, each with its share of the questions that are changed.
_RULES: dict[str, tuple[tuple[float, Change], ...]] = {
    "en": (
        (0.1, exclaim),
        (0.5, drop_end),
        (0.15, greet("en")),
        (0.15, thank("en")),
        (0.5, lower_case),
        (0.1, swap_letters),
        (0.1, double_space),
    ),
    "zh": (
        (0.1, exclaim),
        (0.5, drop_end),
        (0.2, greet("zh")),
        (0.2, thank("zh")),
        (0.2, western_end),
        (0.2, lower_case),
    ),
}


def reworded(question: str, lang: str, generator: random.Random) -> str:
    """``question``, which is in ``lang``, as somebody might type it. Half of the questions stay as
    they are. The outcome depends on the arguments alone."""
    if generator.random() >= _CHANGED_SHARE:
        return question
    for share, change in _RULES[lang]:
        if generator.random() < share:
            question = change(question, generator)
    return question
