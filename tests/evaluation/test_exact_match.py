import math
from dataclasses import replace

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
from h2q.model.decoder import Decoder
from h2q.model.tokenizer import END_OF_DOCUMENT, PAD
from h2q.model.transformer import Transformer
from tests.conftest import memory_of


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
    """The model writes an empty answer, which counts where it is the second of two right answers."""
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
        model.output.bias[ord("\n")] = 1.0
    questions = [Question("Who?", ("x", ""), "a"), Question("Who?", ("x", "y"), "b")]
    assert score(model, questions).correct.tolist() == [True, False]
    assert answer(model, ["Who?"]) == [b""]


def test_with_a_memory_a_match_is_what_is_written(model):
    """Where the memory knows the answer, and where it knows another one."""
    facts = "\n\nWho?\nmyself\n\n\nWhat is it?\none\n\n\nWhere\nthere\n" * 30
    model.memory = memory_of(facts.encode())
    written = answer(model, [question.prompt for question in QUESTIONS])
    assert written == [b"myself", b"one", b"there"]
    assert score(model, QUESTIONS).correct.tolist() == [True, True, False]


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


def plain_loop(model: Transformer, prompt: bytes, max_bytes: int, stop: str | None) -> bytes:
    """One prompt alone, a byte in each pass, no drafts: the definition of what ``continue_prompts``
    writes."""
    decoder, unread, written = Decoder(model), prompt, bytearray()
    for _ in range(max_bytes):
        [logits] = decoder.read([(0, unread)])
        if model.memory is not None:
            text = prompt + written + b"?"
            recalled = model.memory.recall([text]).part(slice(len(text) - 2, None))
            logits = model.memory.mix(logits[-1:], recalled)
        logits[-1][PAD] = -np.inf
        byte = int(logits[-1].argmax())
        if byte == END_OF_DOCUMENT or (stop is not None and byte == ord(stop)):
            break
        written.append(byte)
        unread = bytes([byte])
    return bytes(written)


def random_model(config, seed: int) -> Transformer:
    """It prefers any bytes, also invalid UTF-8, and most often padding and the end of a text."""
    model = Transformer(config).initialize(seed).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(std=parameter.shape[1] ** -0.5, generator=generator)
    model.output.bias[[PAD, END_OF_DOCUMENT, *b"\ne"]] = 0.7
    return model


@pytest.mark.parametrize("seed", [0, 1, 5])
@pytest.mark.parametrize("stop", ["\n", "e", None])
def test_texts_are_those_of_a_plain_loop(tiny_model_config, seed, stop):
    """Byte for byte, for more prompts than are written at once, up to a full context: without a
    memory, and with one that makes drafts, of which many are right."""
    model = random_model(replace(tiny_model_config, context_length=89), seed)
    random = np.random.default_rng(seed)
    prompts = [random.bytes(size) for size in (50, *map(int, random.integers(1, 51, 30)))]
    wanted = [plain_loop(model, prompt, 40, stop) for prompt in prompts]
    assert continue_prompts(model, prompts, 40, stop=stop) == wanted
    model.memory = memory_of(b"".join(wanted))
    mixed = [plain_loop(model, prompt, 40, stop) for prompt in prompts]
    assert continue_prompts(model, prompts, 40, stop=stop) == mixed != wanted
    assert len(set(map(len, wanted))) > 3, "texts end at different places"
    with pytest.raises(UnicodeDecodeError):
        b"".join(wanted).decode()


def test_without_prompts_nothing_is_written(model):
    assert continue_prompts(model, [], 0) == []
    assert math.isnan(score(model, []).exact_match)


def test_questions_in_many_batches_get_their_own_scores(model):
    """With more bytes than fit into one batch, each question gets the scores that it gets alone."""
    questions = [Question("why " * (1 + 7 * n % 13), (f"{n}", "x"), "a") for n in range(700)]
    together = score(model, questions)
    for number in (0, 1, 350, 699):
        alone = score(model, [questions[number]])
        assert together.bits[number] == pytest.approx(alone.bits[0], rel=1e-5)
        assert together.sizes[number] == alone.sizes[0] == len(f"{number}\n")


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode(model, training):
    model.train(training)
    first, second = score(model, QUESTIONS), score(model, QUESTIONS)
    assert np.array_equal(first.bits, second.bits), "dropout is off"
    assert model.training is training
