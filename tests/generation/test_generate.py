from dataclasses import replace

import pytest
import torch

from h2q.config import ModelConfig, SamplingConfig
from h2q.evaluation.byte_losses import byte_losses
from h2q.generation.generate import Stream, generate, generate_batch, step
from h2q.generation.grammar import TEXT
from h2q.model.decoder import Decoder
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.model.transformer import Transformer
from tests.conftest import memory_of


@pytest.fixture
def model(tiny_model_config):
    """An untrained model; its outputs are scaled up, so it is sure of its bytes."""
    model = Transformer(tiny_model_config).initialize(seed=0).eval()
    with torch.no_grad():
        model.output.weight.normal_(std=1.0, generator=torch.Generator().manual_seed(3))
    return model


def never_ending(model):
    with torch.no_grad():
        model.output.bias[END_OF_DOCUMENT] = -1e4
    return model


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
def test_whatever_the_model_wants_the_text_is_utf8(model, seed, temperature):
    sampling = SamplingConfig(temperature=temperature, max_length=150, seed=seed)
    data = bytes(generate(model, "开始".encode(), sampling))
    assert "\0" not in data.decode("utf-8")


@pytest.mark.parametrize("length", range(1, 9))
def test_text_cut_at_its_maximum_length_is_whole(model, length):
    """A model that wants nothing but four-byte characters still writes valid UTF-8."""
    with torch.no_grad():
        model.output.bias[0xF0] = 1e4
    data = bytes(generate(never_ending(model), b"x", SamplingConfig(max_length=length)))
    assert len(data) == length
    data.decode("utf-8")


def test_end_of_document_stops(model):
    with torch.no_grad():
        model.output.bias[END_OF_DOCUMENT] = 1e4
    assert bytes(generate(model, b"x", SamplingConfig())) == b""


def test_same_seed_same_text(model):
    texts = [
        bytes(generate(model, b"x", SamplingConfig(temperature=1.5, seed=seed)))
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_generation_leaves_the_global_random_state_alone(model):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    bytes(generate(model, b"x", SamplingConfig()))
    assert torch.equal(torch.get_rng_state(), before)


def test_greedy_equals_repeated_full_passes(model):
    """The reference: no cache, the whole text read again for each byte."""
    never_ending(model)
    prompt = b"hello"
    got = bytes(generate(model, prompt, SamplingConfig(temperature=0, max_length=40)))
    text, state = bytearray(prompt), 0
    for written in range(40):
        logits = model(torch.tensor([list(text)]))[0, -1]
        token = int((logits.detach().numpy() + TEXT.mask(state, 40 - written)).argmax())
        state = TEXT.transitions[state][token]
        text.append(token)
    assert got == text[len(prompt) :]


def test_text_goes_on_past_the_context(model, monkeypatch):
    """Five contexts long; every byte is read once, and the cache never grows."""
    read = []
    reading = Decoder.read

    def counting(self, new):
        read.extend(len(data) for _, data in new)
        return reading(self, new)

    monkeypatch.setattr(Decoder, "read", counting)
    length = 5 * model.config.context_length
    data = bytes(
        generate(never_ending(model), b"x", SamplingConfig(max_length=length), draft=False)
    )
    assert len(data) == length
    assert max(read) <= model.config.context_length
    assert sum(read) == length


def test_past_the_context_the_model_sees_the_latest_bytes(tiny_model_config):
    """After a slide, what a model of one layer writes depends only on the half that was kept."""
    config = replace(tiny_model_config, n_layers=1)
    model = Transformer(config).initialize(seed=0).eval().requires_grad_(False)
    model.output.weight.normal_(std=0.7, generator=torch.Generator().manual_seed(3))
    model.output.bias[0x80:] = -1e4  # single-byte characters: any cut is between two
    half = config.context_length // 2
    sampling = SamplingConfig(temperature=0, max_length=20)
    tail = bytes(range(97, 97 + 16)) * (half // 16)
    for older in (b"a", b"b"):
        text = bytes(generate(model, older * half + tail, sampling))
        assert text[1:] == bytes(generate(model, tail + text[:1], sampling))[:19]


def test_prompt_longer_than_the_context_counts_by_its_end(model):
    context_length = model.config.context_length
    prompt = bytes(range(32, 127)) * 20
    sampling = SamplingConfig(max_length=30)
    whole = bytes(generate(model, prompt, sampling))
    assert whole == bytes(generate(model, prompt[-context_length:], sampling))


def drafting(model):
    """A model with a memory, whose drafts are often right and often wrong."""
    text = b"".join(
        bytes(generate(model, bytes([97 + seed]), SamplingConfig(max_length=150, seed=seed)))
        for seed in range(3)
    )
    model.memory = memory_of(text)
    return model


SETTINGS = [
    {"temperature": 0.0},
    {"temperature": 0.5},
    {"temperature": 1.0, "top_k": 20, "repetition_penalty": 1.3},
    {"temperature": 0.7, "top_p": 0.9, "min_p": 0.02, "stop": ("qz",), "loop_guard": 6},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_drafts_change_nothing_but_the_number_of_passes(model, settings, monkeypatch):
    drafting(never_ending(model))
    passes = []
    reading = Decoder.read
    monkeypatch.setattr(Decoder, "read", lambda self, new: passes.append(1) or reading(self, new))
    for seed in range(2):
        sampling = SamplingConfig(max_length=130, seed=seed, **settings)
        with_drafts = bytes(generate(model, b"abc", sampling))
        used = len(passes)
        passes.clear()
        assert with_drafts == bytes(generate(model, b"abc", sampling, draft=False))
        assert used < 0.97 * len(passes)
        passes.clear()


def test_with_drafts_the_distribution_is_that_of_the_mixture(tiny_model_config):
    """Chi-squared of pairs of bytes against the probabilities of full passes without a cache, mixed
    with those of the memory.

    The memory is right in a part of the cases, so both kept and refused drafts count.
    """
    model = Transformer(tiny_model_config).initialize(seed=0).eval().requires_grad_(False)
    model.output.weight.normal_(std=0.7, generator=torch.Generator().manual_seed(3))
    letters = torch.full((256,), -1e4)
    letters[list(b"abc")] = 0.0
    model.output.bias.add_(letters)
    prompt = b"abcabc"
    model.memory = memory_of(b"abcabcabcabbcaacabcabcbbabcabc" * 3)

    def mixed(text):
        logits = model(torch.tensor([list(text)]))[0, -1:].numpy()
        recalled = model.memory.recall([text + b"?"]).part(slice(len(text) - 1, None))
        return torch.from_numpy(model.memory.mix(logits, recalled))[0]

    after = {first: mixed(prompt + bytes([first])) for first in b"abc"}
    first = mixed(prompt).softmax(-1)
    draws = 1000
    sampling = [SamplingConfig(temperature=1.0, max_length=2, seed=seed) for seed in range(draws)]
    decoder = Decoder(model)
    drafts = []
    pairs = {}
    for settings in sampling:
        stream = Stream(prompt, settings, decoder)
        decoder.keep(0, 0)
        text = b""
        while stream.reason is None:
            text += step(decoder, {0: stream}, 3)[0]
            drafts.append(stream.rows - 1)
        pairs[text[:2]] = pairs.get(text[:2], 0) + 1
    assert sum(drafts) > draws / 2, "the test is of drafts"
    statistic = 0.0
    for a in b"abc":
        for b in b"abc":
            expected = draws * (first[a] * after[a].softmax(-1)[b]).item()
            statistic += (pairs.get(bytes([a, b]), 0) - expected) ** 2 / expected
    assert statistic < 26.1  # 99.9 % of chi-squared, eight degrees of freedom


@pytest.mark.parametrize("draft", [True, False])
def test_same_seed_same_text_alone_or_among_64(model, draft):
    """Prompts of many lengths, each with its own settings, more than fit at once, and past the
    context; with a memory. The text that is written alone has drafts."""
    drafting(never_ending(model))
    length = model.config.context_length
    prompts = [(b"the cat sat on a mat " * 9)[: 1 + 7 * i % 150] for i in range(70)]
    sampling = [
        SamplingConfig(seed=i, max_length=20 + i % (length + 9), **SETTINGS[i % 4])
        for i in range(70)
    ]
    together = generate_batch(model, prompts, sampling, draft=draft)
    decoder = Decoder(model)
    for number in (0, 1, 2, 3, 17, 42, 63, 64, 69):
        alone = bytes(generate(decoder, prompts[number], sampling[number]))
        assert together[number].text == alone
        if together[number].reason == "length":
            assert len(alone) == sampling[number].max_length


def test_bits_are_those_of_the_model(model, unrounded):
    """The bits of the unmasked model at temperature 1, for exactly the text that is written."""
    never_ending(model)
    prompt = b"hello "
    whole = generate_batch(model, [prompt], [SamplingConfig(max_length=40)])[0]
    stop = whole.text[20:22].decode("utf-8", "ignore") or "\n"
    for sampling in (SamplingConfig(max_length=40), SamplingConfig(max_length=40, stop=(stop,))):
        [got] = generate_batch(model, [prompt], [sampling])
        text = prompt + got.text
        logits = model(torch.tensor([list(text)]))[0].double().log_softmax(-1)
        wanted = -sum(logits[i - 1, text[i]].item() for i in range(len(prompt), len(text)))
        assert got.nats == pytest.approx(wanted, rel=1e-4)


def test_with_a_memory_bits_are_those_of_the_mixture(model, unrounded):
    drafting(never_ending(model))
    prompt = b"hello "
    [got] = generate_batch(model, [prompt], [SamplingConfig(max_length=40)])
    text = prompt + got.text
    [losses] = byte_losses(model, [text], torch.float32, model.memory)
    assert got.nats == pytest.approx(losses[len(prompt) - 1 :].sum().item(), rel=1e-4)


def test_a_stop_string_ends_the_text_and_is_no_part_of_it(model):
    never_ending(model)
    sampling = SamplingConfig(max_length=100, seed=5)
    whole = bytes(generate(model, b"x", sampling)).decode()
    stop = whole[30:33]
    [got] = generate_batch(model, [b"x"], [replace(sampling, stop=(stop,))])
    assert got.reason == "stop"
    assert got.text.decode() == whole[: whole.index(stop)]


def test_going_round_in_circles_ends_the_text(model):
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias[ord("a")] = 100.0
    sampling = SamplingConfig(temperature=0, max_length=500, loop_guard=4)
    [got] = generate_batch(model, [b"x"], [sampling])
    assert got.reason == "loop"
    assert 30 <= len(got.text) <= 40
    [free] = generate_batch(model, [b"x"], [replace(sampling, loop_guard=0)])
    assert (free.reason, len(free.text)) == ("length", 500)


def test_a_repetition_penalty_makes_repetition_rarer(model):
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.zero_()
        model.output.bias[list(b"abc")] = 5.0
    texts = [
        bytes(generate(model, b"x", SamplingConfig(repetition_penalty=p, max_length=60)))
        for p in (1.0, 10.0)
    ]
    assert [sum(text.count(byte) for byte in b"abc") for text in texts][1] < 30


def test_nothing_to_do_is_done():
    assert generate_batch(Transformer(ModelConfig(embed_dim=8, n_heads=2)), [], []) == []
