"""How good answers are, apart from being right: consistency, relevance, repetition, validity.

Knows only texts, no models.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from h2q.evaluation.exact_match import ANSWER_BYTES
from h2q.model.tokenizer import decode

_GRAM = 4  # characters whose repetition is measured


@dataclass(frozen=True)
class Quality:
    """How good answers are, apart from being right (README: 生成质量). It is shown, and decides
    nothing."""

    consistency: float  # share of pairs of wordings of one question with the same answer
    relevance: float  # overlap with what is known of the subject, less that of other subjects
    repetition: float  # 1 - unique / total character 4-grams of the answers
    real_repetition: float  # the same for the right answers
    validity: float  # share of answers that are UTF-8 and end by themselves


def quality(answers: list[list[bytes]], known: list[str], right: list[str]) -> Quality:
    """The quality of ``answers``: for each question a list, with an answer to each wording.

    ``known`` holds a text on the subject of each question, and ``right`` the right answer.
    """
    texts = [[decode(item) for item in wordings] for wordings in answers]
    flat = [text for wordings in texts for text in wordings]
    pairs = [
        first == second
        for wordings in texts
        for index, first in enumerate(wordings)
        for second in wordings[index + 1 :]
    ]
    valid = [
        _is_utf8(item) and 0 < len(item) < ANSWER_BYTES for wordings in answers for item in wordings
    ]
    return Quality(
        consistency=_mean(pairs),
        relevance=relevance([wordings[0] for wordings in texts], known),
        repetition=repetition(flat),
        real_repetition=repetition([text for text, w in zip(right, texts) for _ in w]),
        validity=_mean(valid),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def repetition(texts: list[str]) -> float:
    """Mean over texts of 1 - unique / total character 4-grams. Texts without a 4-gram do not count;
    0 where none counts."""
    shares = []
    for text in texts:
        grams = [text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)]
        if grams:
            shares.append(1 - len(set(grams)) / len(grams))
    return _mean(shares)


def relevance(texts: list[str], sources: list[str]) -> float:
    """Mean over texts of the weighted share of a text's trigrams that are in its source, less the
    mean share that are in the other sources. A trigram that is rare among the sources weighs more
    (inverse document frequency)."""
    grams_of = [_trigrams(source) for source in sources]
    seen = Counter(gram for grams in grams_of for gram in grams)
    count = len(sources)

    def overlap(grams: set[str], source: set[str]) -> float:
        weights = {gram: math.log((1 + count) / (1 + seen[gram])) + 1 for gram in grams}
        # An exact sum, because the order of a set differs between processes.
        total = math.fsum(weights.values())
        return math.fsum(weights[gram] for gram in grams & source) / total if total else 0.0

    gains = []
    for index, text in enumerate(texts):
        grams = _trigrams(text)
        others = [overlap(grams, grams_of[i]) for i in range(count) if i != index]
        gains.append(overlap(grams, grams_of[index]) - _mean(others))
    return _mean(gains)


def _trigrams(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
