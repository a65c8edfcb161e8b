"""Words by which a question is about another one than the subject that it names.

"Lena Hart's sister", "the sister of Lena Hart", "王明的妹妹" and "王明华" all hold the name of
somebody, and are about somebody else. Does not know facts.
"""

from collections.abc import Collection

from h2q.asking.question import Question
from h2q.asking.words import is_han

_OF = {"of", "for"}
_POSSESSIVE = set("的得滴之")
_SHORT_NAME = 2  # characters: a Chinese name that may go on


def bridges(question: Question, named: Collection[int], left: Collection[int]) -> set[int]:
    """The positions of such words. ``named``: the positions of the subject; ``left``: those of words
    that nothing explains, the only ones that are looked at."""
    following = max(named) + 1
    found: set[int] = set()
    if following < len(question.tokens) and not question.is_marked(following):
        if is_han(question.tokens[following]):
            found |= _chinese_after(question, following, left, len(named))
        elif following in left:
            found.add(following)
    return found | _before_of(question, min(named) - 1, left)


def _chinese_after(
    question: Question, place: int, left: Collection[int], name_length: int
) -> set[int]:
    """The characters after a name, with or without 的, that lead on to another one."""
    attached = question.tokens[place] not in _POSSESSIVE
    place += not attached
    run = []
    while place in left and not question.is_marked(place) and is_han(question.tokens[place]):
        run.append(place)
        place += 1
    after = question.tokens[place] if place < len(question.tokens) else ""
    leads_on = after in _POSSESSIVE if after else False
    if attached:
        goes_on = leads_on or name_length <= _SHORT_NAME
    else:
        goes_on = bool(after) and not question.is_marked(place)
        goes_on = goes_on and (leads_on or not question.fillers[place])
    return set(run) if goes_on else set()


def _before_of(question: Question, place: int, left: Collection[int]) -> set[int]:
    """The word before "of" and the name."""
    through_of = False
    while place >= 0 and question.fillers[place] and not question.is_marked(place + 1):
        through_of |= question.tokens[place] in _OF
        place -= 1
    return {place} if through_of and place in left and not question.is_marked(place + 1) else set()
