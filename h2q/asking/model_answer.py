"""What a trained model answers by itself, without looking anything up.

Whether something supports the answer is for ``asker``.
"""

from h2q.evaluation.exact_match import ANSWER_BYTES, answer
from h2q.model.transformer import Transformer


def model_answer(model: Transformer, question: str) -> str | None:
    """The greedy answer; None where the model writes no line of text that comes to an end."""
    [written] = answer(model, [question])
    try:
        text = written.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    return text if text and len(written) < ANSWER_BYTES else None
