import torch

from h2q.asking import model_answer as module
from h2q.asking.model_answer import model_answer
from h2q.model.transformer import Transformer


def test_only_a_line_that_ends_is_an_answer(monkeypatch):
    def written(text):
        monkeypatch.setattr(module, "answer", lambda model, questions: [text])
        return model_answer(None, "q")

    assert written(b" dentist ") == "dentist"
    assert written(b"") is None and written(b"\xff") is None
    assert written(b"x" * module.ANSWER_BYTES) is None


def test_a_model_is_asked_greedily(tiny_model_config):
    model = Transformer(tiny_model_config).initialize(0)
    with torch.no_grad():
        model.output.bias[ord("a")] = 100.0  # never a line end
    assert model_answer(model, "who?") is None
    with torch.no_grad():
        model.output.bias[ord("\n")] = 200.0
    assert model_answer(model, "who?") is None, "nothing before the line end"
