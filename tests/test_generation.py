import numpy as np
import pytest
import torch

from h2q.config import SamplingConfig
from h2q.decoding import Decoder
from h2q.generation import generate, next_token_mask
from h2q.model import KeyValueCache, Transformer
from h2q.tokenizer import END_OF_DOCUMENT, PAD, TRANSITIONS


@pytest.fixture
def model(tiny_model_config):
    """Untrained, with outputs spread out so that it is sure of what it says."""
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


def test_mask_forbids_padding_controls_and_bytes_without_meaning():
    mask = next_token_mask(state=0, budget=10)
    forbidden = set(np.isinf(mask).nonzero()[0].tolist())
    controls = {*range(0x01, 0x20), 0x7F} - set(b"\t\n\r")
    assert forbidden == {PAD, *controls, *range(0x80, 0xC2), *range(0xF5, 0xFF)}


def test_text_may_not_end_within_a_character():
    assert next_token_mask(0, 10)[END_OF_DOCUMENT] == 0
    assert all(next_token_mask(state, 10)[END_OF_DOCUMENT] == -np.inf for state in range(1, 8))


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
        token = int((logits.detach().numpy() + next_token_mask(state, 40 - written)).argmax())
        state = TRANSITIONS[state][token]
        text.append(token)
    assert got == text[len(prompt) :]


def test_text_goes_on_past_the_context(model, monkeypatch):
    """Five contexts long; every position is read at most twice, and the cache never grows."""
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
    assert sum(read) <= 2 * length + model.config.context_length


def test_past_the_context_the_model_sees_the_latest_bytes(model):
    """After a slide, what is written depends only on the half context that was kept."""
    with torch.no_grad():
        model.output.bias[0x80:] = -1e4  # single-byte characters: any cut is between two
    half = model.config.context_length // 2
    sampling = SamplingConfig(temperature=0, max_length=20)
    tail = bytes(range(97, 97 + 16)) * (half // 16)
    for older in (b"a", b"b"):
        text = bytes(generate(model, older * half + tail, sampling))
        seen = (tail + text[:1])[-half:]
        assert text[1:] == bytes(generate(model, seen, sampling))[:19]


def test_prompt_longer_than_the_context_counts_by_its_end(model):
    context_length = model.config.context_length
    prompt = bytes(range(32, 127)) * 20
    sampling = SamplingConfig(max_length=30)
    whole = bytes(generate(model, prompt, sampling))
    assert whole == bytes(generate(model, prompt[-context_length:], sampling))


def test_cache_memory_is_fixed(tiny_model_config):
    cache = KeyValueCache(tiny_model_config, batch_size=3)
    assert cache.keys.shape == (2, 3, 2, 64, 16)
    assert cache.free == 64
