"""Speed of writing in bytes a second: ours, beside what a user would use instead.

    python benchmarks/generate_speed.py --model FILE --text FILE [--repeats 3] [--json FILE]

Ours runs a trained model (``--model``) on prompts cut from ``--text``, which should be text of the
kind it was trained on, but not that text itself. The peers (extra ``bench``) are the GPT-2 of
``transformers`` with its cache, and the same GPT-2 converted for ``ctranslate2``, float32 and int8, of
the same size: width, layers, heads, feed-forward, 256 tokens. Their weights are random, which does
not change their speed, and they never stop. All sample at temperature 0.8 with the same number of
threads. The cases:

- ``one``: one stream of 500 bytes after a prompt of 20;
- ``first``: a prompt of 500 bytes to the first byte written (prompt bytes a second);
- ``many``: 64 streams at once, 100 bytes each after prompts of 20 (bytes of all streams together);
- ``past``: one stream of 1,500 bytes, which is longer than the window of 512. The peers are given
  2,048 positions, because they have no sliding window.
"""

import argparse
import functools
import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

import turns
from h2q.checkpoint.model_file import load_model
from h2q.config import ModelConfig, SamplingConfig
from h2q.generation.generate import generate, generate_batch
from h2q.model.decoder import Decoder

CONFIG = ModelConfig()
TEMPERATURE = 0.8
POSITIONS = 2048
CASES = {  # streams, bytes of prompt, bytes written
    "one": (1, 20, 500),
    "first": (1, 500, 1),
    "many": (64, 20, 100),
    "past": (1, 20, 1500),
}


def prompts(case: str, text: Path) -> list[bytes]:
    """Prompts from evenly spaced places of the text, cut between two characters."""
    streams, length, _ = CASES[case]
    data = text.read_bytes()
    found = []
    for stream in range(streams):
        start = stream * (len(data) - 2 * length) // streams
        piece = data[start : start + length].decode("utf-8", "ignore")
        found.append(piece.encode("utf-8"))
    return found


def ours(case: str, model_path: Path, text: Path, draft: bool, memory: bool = True):
    """Turns of the program as ``local_inference_demo.py`` runs it; a text that ends early is
    followed by another one. Without ``memory``, the Transformer writes alone."""
    model, _ = load_model(model_path)
    if not memory:
        model.memory = None
    streams, _, length = CASES[case]
    decoder = Decoder(model, streams)
    given = prompts(case, text)
    settings = SamplingConfig(temperature=TEMPERATURE, max_length=length)
    seeds = iter(range(10**9))

    def turn() -> int:
        if case == "many":
            sampling = [replace(settings, seed=next(seeds)) for _ in given]
            return sum(len(a.text) for a in generate_batch(decoder, given, sampling, draft))
        written = 0
        while written < length:
            wanted = replace(settings, seed=next(seeds), max_length=length - written)
            written += sum(1 for _ in generate(decoder, given[0], wanted, draft))
        return len(given[0]) if case == "first" else written

    return turn


def gpt2():
    """The GPT-2 of ``transformers`` with the README's dimensions."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=256, n_positions=POSITIONS, n_embd=CONFIG.embed_dim, n_layer=CONFIG.n_layers,
        n_head=CONFIG.n_heads, n_inner=CONFIG.feedforward_dim, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def transformers_gpt2(case: str, text: Path):
    model = gpt2()
    _, _, length = CASES[case]
    given = torch.tensor(
        [list(prompt[:20] if case != "first" else prompt) for prompt in prompts(case, text)]
    )

    def turn() -> int:
        with torch.inference_mode():
            result = model.generate(
                given,
                attention_mask=torch.ones_like(given),
                do_sample=True,
                top_k=0,
                temperature=TEMPERATURE,
                min_new_tokens=length,
                max_new_tokens=length,
                use_cache=True,
            )
        return given.numel() if case == "first" else result[:, given.shape[1] :].numel()

    return turn


def ctranslate2_gpt2(case: str, text: Path, compute_type: str):
    import ctranslate2
    from ctranslate2.converters.transformers import GPT2Loader

    directory = tempfile.mkdtemp(prefix="h2q-bench-")
    spec = GPT2Loader().get_model_spec(gpt2())
    vocabulary = [f"<{byte}>" for byte in range(256)]
    spec.register_vocabulary(vocabulary)
    spec.config.unk_token = spec.config.bos_token = spec.config.eos_token = vocabulary[0]
    spec.validate()
    spec.optimize(quantization=compute_type)
    spec.save(directory)
    generator = ctranslate2.Generator(
        directory, device="cpu", compute_type=compute_type, intra_threads=torch.get_num_threads()
    )
    _, _, length = CASES[case]
    given = [[vocabulary[byte] for byte in prompt] for prompt in prompts(case, text)]

    def turn() -> int:
        results = generator.generate_batch(
            given,
            max_batch_size=len(given),
            min_length=length,
            max_length=length,
            sampling_topk=0,
            sampling_temperature=TEMPERATURE,
            include_prompt_in_result=False,
        )
        if case == "first":
            return len(given[0])
        return sum(len(result.sequences_ids[0]) for result in results)

    return turn


def contestants(case: str, arguments) -> dict:
    found = {}
    if importlib.util.find_spec("transformers"):
        found["transformers GPT-2"] = functools.partial(transformers_gpt2, case, arguments.text)
        if importlib.util.find_spec("ctranslate2"):
            for compute_type in ("float32", "int8"):
                found[f"ctranslate2 {compute_type}"] = functools.partial(
                    ctranslate2_gpt2, case, arguments.text, compute_type
                )
    else:
        print("transformers is not installed: pip install -e '.[bench]' adds the peers")
    for draft in (False, True) if case in ("one", "past") else (True,):
        name = "h2q" if draft else "h2q without drafts"
        found[name] = functools.partial(ours, case, arguments.model, arguments.text, draft)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a trained model file")
    parser.add_argument("--text", type=Path, required=True, help="where prompts are cut from")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures = {}
    for case in arguments.cases:
        found = contestants(case, arguments)
        figures[case] = turns.take_turns(found, arguments.repeats)
        print(f"\n{case}")
        turns.print_table(figures[case], next(iter(found)), "bytes/s")
    turns.write_report(arguments.json, bytes_per_second=figures)


if __name__ == "__main__":
    main()
