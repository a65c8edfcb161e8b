"""Text as tokens that can be compared: words, and single Chinese characters.

A token has no capitals, no accents and no punctuation. Knows when a word is probably another one
with a typo. Does not know what a token means.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

_LONGEST_WORD = 40  # characters; what is longer is cut
_SHORTEST_TYPO = 3  # letters: of shorter words nearly all are like some other word
_TWO_TYPOS = 8  # letters: so long a word may have two
TYPO = 0.8  # how much a word with a typo counts
_INFLECTED = 0.9  # and a word with another ending
_ENDING = re.compile(r"(?:(?<=\w{4})(?:ing|ed|es)|(?<=\w{3})s)$")

_HAN = "\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(f"[{_HAN}]|[^\\W_{_HAN}]+")
_IS_HAN = re.compile(f"[{_HAN}]")
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ](s\b)?")  # Hart's → Hart, O'Brien → OBrien
_JOINT = re.compile(rf"(?<=[^\W{_HAN}])[-‐‑_](?=[^\W{_HAN}])")  # birth_date, Wi-Fi


def is_han(token: str) -> bool:
    """Whether a token is a Chinese (or Japanese) character, not a word."""
    return len(token) == 1 and bool(_IS_HAN.match(token))


def normalised(text: str) -> str:
    """``text`` in small letters without accents; wide forms become plain ones."""
    text = unicodedata.normalize("NFKC", text).casefold()
    if not text.isascii():
        marked = unicodedata.normalize("NFD", text)
        # Marks of Latin, Greek and Cyrillic; those of kana belong to the character.
        text = unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", marked))
    return text


def tokens(text: str) -> list[str]:
    """The tokens of ``text``, in order. The possessive ``'s`` is left out."""
    return [token for token, _ in separated(text)]


def separated(text: str) -> Iterator[tuple[str, str]]:
    """Each token, with what stands between it and the one before: nothing, spaces, or marks."""
    text = _JOINT.sub(" ", _APOSTROPHE.sub("", normalised(text)))
    end = 0
    for match in _TOKEN.finditer(text):
        yield match[0][:_LONGEST_WORD], text[end : match.start()]
        end = match.end()


def runs(found: Iterable[str]) -> Iterator[str]:
    """The tokens, those of neighbouring Chinese characters joined to one string."""
    kept = ""
    for token in found:
        if is_han(token):
            kept += token
            continue
        if kept:
            yield kept
            kept = ""
        yield token
    if kept:
        yield kept


def terms(found: Sequence[str]) -> list[str]:
    """What an index holds of tokens: words, pairs of Chinese characters, and single ones where
    they stand alone. Two words are held as one, too: ``wi fi`` is found as ``wifi``."""
    result = []
    for run in runs(found):
        if is_han(run[0]) and len(run) > 1:
            result += pairs(run)
        else:
            result.append(run)
    both = itertools.pairwise(found)
    result += [first + second for first, second in both if not is_han(first) and not is_han(second)]
    return result


def pairs(run: str) -> list[str]:
    """The pairs of neighbouring characters in ``run``."""
    return [run[i : i + 2] for i in range(len(run) - 1)]


def stem(word: str) -> str:
    """A word without the commonest endings of English."""
    stripped = _ENDING.sub("", word)
    return stripped[:-1] if len(stripped) > 3 and stripped.endswith("e") else stripped


@lru_cache(maxsize=65_536)
def likeness(word: str, other: str) -> float:
    """1 for the same word, less for one that a typo or two, or another ending, make of it; 0 for
    another word.

    A typo is a letter too many, too few or wrong, or two letters swapped. The first letter, digits
    and short words have to be right, except that the first two letters may be swapped.
    """
    if word == other:
        return 1.0
    shorter, longer = sorted((len(word), len(other)))
    if shorter < _SHORTEST_TYPO or longer == _SHORTEST_TYPO:
        return 0.0
    if not (word.isalpha() and other.isalpha()) or _IS_HAN.match(word):
        return 0.0
    if stem(word) == stem(other):
        return _INFLECTED
    if word[0] != other[0] and word[1::-1] != other[:2]:
        return 0.0
    most = 2 if shorter >= _TWO_TYPOS else 1
    return TYPO if _edits(word, other, most) <= most else 0.0


def _edits(word: str, other: str, most: int) -> int:
    """The smallest number of typos between two words (Damerau and Levenshtein's distance, with
    neighbours swapped at most once); anything above ``most`` where it is greater."""
    if abs(len(word) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, its in enumerate(other, 1):
            cost = min(row[-1] + 1, last[j] + 1, last[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == its:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]


def misspellings(word: str) -> list[str]:
    """The word, its stem, and what is left of it without one of its letters.

    Two words between which there is one typo have one of these in common, so an index of them
    finds the right word without comparing it with all others (Garbe's symmetric deletion). None
    for what is never taken for a typo.
    """
    if len(word) < _SHORTEST_TYPO or not word.isalpha() or _IS_HAN.match(word):
        return []
    shorter = (word[:i] + word[i + 1 :] for i in range(len(word)))
    return list(dict.fromkeys((word, stem(word), *shorter)))
