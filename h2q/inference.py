"""``LocalInferenceModel``: a trained model, loaded from its file, that continues text."""

from collections.abc import Iterator
from pathlib import Path

from h2q.config import MODEL_PATH, SamplingConfig
from h2q.generation import generate
from h2q.model_file import load_model
from h2q.tokenizer import IncrementalDecoder, encode


class LocalInferenceModel:
    """A trained model that continues text (README: 本地推理模型)."""

    def __init__(self, path: Path = Path(MODEL_PATH), device: str = "cpu"):
        """Loads the model file at ``path``; raises ``ModelFileError`` when that cannot be done."""
        self.path = Path(path)
        model, self.provenance = load_model(self.path)
        self.model = model.to(device)

    def stream(self, prompt: str, sampling: SamplingConfig = SamplingConfig()) -> Iterator[str]:
        """The continuation of ``prompt``, in pieces of whole characters as they are written."""
        decoder = IncrementalDecoder()
        for byte in generate(self.model, encode(prompt), sampling):
            if text := decoder.feed(bytes([byte])):
                yield text
        if text := decoder.finish():
            yield text

    def generate(self, prompt: str, sampling: SamplingConfig = SamplingConfig()) -> str:
        """The continuation of ``prompt`` as one string, without the prompt."""
        return "".join(self.stream(prompt, sampling))
