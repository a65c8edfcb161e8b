"""``LocalInferenceModel``: a trained model, loaded from its file, that continues text.

Turns strings into bytes and back, and keeps a decoder for the next call. Does not print anything.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from h2q.checkpoint.model_file import load_model
from h2q.config import SamplingConfig
from h2q.generation.generate import MOST_STREAMS, Generated, generate, generate_batch
from h2q.model.decoder import Decoder
from h2q.model.tokenizer import IncrementalDecoder, encode
from h2q.system.paths import MODEL_PATH
from h2q.system.torch_private import weights_version


class LocalInferenceModel:
    """A trained model that continues text (README: 本地推理模型)."""

    def __init__(self, path: Path = Path(MODEL_PATH), device: str = "cpu", memory: bool = True):
        """Loads the model file at ``path``, with its memory or without. Raises ``ModelFileError``
        when that cannot be done."""
        self.path = Path(path)
        model, self.provenance = load_model(self.path)
        if not memory:
            model.memory = None
        self.model = model.to(device)
        self._decoder: Decoder | None = None
        self._version: tuple[int, ...] = ()

    def decoder(self, n_streams: int = 1) -> Decoder:
        """A decoder of the model for ``n_streams`` streams. A new one is made when the weights have
        changed; only the last one is kept, to save memory."""
        version = weights_version(self.model.parameters())
        last = self._decoder
        if last is None or len(last.lengths) != n_streams or version != self._version:
            last = Decoder(self.model, n_streams)
        self._decoder, self._version = last, version
        return last

    def stream(self, prompt: str, sampling: SamplingConfig = SamplingConfig()) -> Iterator[str]:
        """The continuation of ``prompt``, in pieces of whole characters, as they are written."""
        decoder = IncrementalDecoder()
        for byte in generate(self.decoder(), encode(prompt), sampling):
            if text := decoder.feed(bytes([byte])):
                yield text
        if text := decoder.finish():
            yield text

    def generate(self, prompt: str, sampling: SamplingConfig = SamplingConfig()) -> str:
        """The continuation of ``prompt`` as one string, without the prompt."""
        return "".join(self.stream(prompt, sampling))

    def generate_batch(
        self, prompts: Sequence[str], sampling: Sequence[SamplingConfig]
    ) -> list[Generated]:
        """A continuation of each prompt with its own settings, many at once. Each is the one that
        ``generate`` would write, as UTF-8."""
        decoder = self.decoder(max(1, min(MOST_STREAMS, len(prompts))))
        return generate_batch(decoder, [encode(prompt) for prompt in prompts], sampling)
