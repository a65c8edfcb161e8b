import math

import numpy as np
import pytest
import torch

from h2q.evaluation.exact_match import (
    ANSWER_BYTES,
    Question,
    answer,
    continue_prompts,
    prompt_bytes,
    score,
)
from h2q.evaluation.text_quality import quality, relevance, repetition
from h2q.model.transformer import Transformer


@pytest.fixture
def model(tiny_model_config):
    torch.manual_seed(0)
    return Transformer(tiny_model_config).initialize(seed=3)


QUESTIONS = [
    Question("Who?", ("me", "myself"), "a"),
    Question("What is it?", ("一", "one"), "b"),
    Question("Where", ("here",), "a"),
]


def test_costs_are_those_of_a_plain_pass(model):
    """The reference: one question at a time, unpadded, position by position."""
    scores = score(model, QUESTIONS)
    model.eval()
    for index, question in enumerate(QUESTIONS):
        prompt, target = prompt_bytes(question.prompt), question.answers[0].encode() + b"\n"
        tokens = torch.tensor([list(prompt + target)])
        logits = model(tokens[:, :-1])[0].double().log_softmax(-1)
        bits = -sum(
            logits[len(prompt) - 1 + i, byte].item() for i, byte in enumerate(target)
        ) / math.log(2)
        assert scores.bits[index] == pytest.approx(bits, rel=1e-5)
        assert scores.sizes[index] == len(target)
    assert scores.clusters == ("a", "b", "a")


def test_a_match_is_what_greedy_decoding_writes(model):
    """Whatever the model answers, as the second of two answers, is right; anything else is not."""
    model.output.bias.data[ord("\n")] += 0.05  # so that answers end
    written = continue_prompts(model, [prompt_bytes(q.prompt) for q in QUESTIONS], 20)
    texts = [text for text in written if len(text) < 20 and text.isascii()]
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
        model.output.bias[ord("\n")] = 1.0
    assert texts is not None
    questions = [Question("Who?", ("x", ""), "a"), Question("Who?", ("x", "y"), "b")]
    assert score(model, questions).correct.tolist() == [True, False]
    assert answer(model, ["Who?"]) == [b""]


def test_greedy_answers_are_those_of_full_passes(model, unrounded):
    """With prompts of different lengths, in the order given."""
    prompts = [b"abc", b"de", b"xyz", b"abc"]
    written = continue_prompts(model, prompts, 6, stop=None)
    model.eval()
    for prompt, text in zip(prompts, written):
        tokens = list(prompt)
        for _ in range(6):
            logits = model(torch.tensor([tokens]))[0, -1]
            logits[0] = -torch.inf
            byte = int(logits.argmax())
            if byte == 0xFF:
                break
            tokens.append(byte)
        assert bytes(tokens[len(prompt) :]) == text
    assert written[0] == written[3]


def test_a_question_longer_than_the_context_is_cut(model):
    scores = score(model, [Question("long " * 100, ("end",), "a")])
    assert np.isfinite(scores.bits).all()
    assert len(answer(model, ["long " * 100])[0]) <= ANSWER_BYTES


def test_no_answer_costs_more_than_a_guess(model):
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias[ord("z")] = 100.0  # sure, and wrong
    scores = score(model, [Question("Who?", ("me",), "a")])
    assert scores.bits[0] > 100
    assert scores.capped[0] == 8 * 3
    assert scores.bits_per_byte == 8


def test_measures_of_quality():
    assert repetition(["abcabcabc"]) == pytest.approx(1 - 3 / 6)
    assert repetition(["abcdef", ""]) == 0
    sources = ["The capital of France is Paris.", "Gold has the symbol Au.", "Kites fly high."]
    assert relevance(["Paris of France", "symbol Au", "Kites"], sources) > 0.5
    assert relevance(["symbol Au", "Kites", "Paris of France"], sources) < -0.2
    found = quality(
        [[b"Paris", b"Paris"], [b"Au", b"Ag"], [b"\xff\xff", b"x" * ANSWER_BYTES]],
        sources,
        ["Paris", "Au", "x"],
    )
    assert found.consistency == pytest.approx(1 / 3)
    assert found.validity == pytest.approx(4 / 6)
