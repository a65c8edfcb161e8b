from h2q.config import SEED_MAX, SamplingConfig
from h2q.generation.answer import answer, reseeded, shown
from h2q.generation.inference import LocalInferenceModel
from h2q.system.console import Console

SAMPLING = SamplingConfig(max_length=20, seed=5)


def test_every_turn_has_a_seed_of_its_own():
    seeds = [reseeded(SAMPLING, turn).seed for turn in range(3)]
    assert seeds == [5, 6, 7]
    assert reseeded(SamplingConfig(seed=SEED_MAX), 1).seed == 0


def test_of_a_long_prompt_the_end_is_shown():
    assert shown("short") == "short"
    assert shown("x" * 1999 + "中") == "x" * 1999 + "中"
    assert shown("begin" + "y" * 2000) == "…" + "y" * 2000


def test_an_answer_is_shown_after_its_prompt(model, capsys):
    text = answer(model, "你好", SAMPLING, Console())
    out, err = capsys.readouterr()
    assert text == model.generate("你好", SAMPLING)
    assert out.startswith(f"你好{text}\n") and "字节/秒" in out
    assert err == ""


def test_the_model_sees_what_was_said_before(model):
    text = answer(model, "and now", SAMPLING, Console(silent=True), before="once ")
    assert text == model.generate("once and now", SAMPLING)


def test_a_prompt_that_is_too_long_is_said(model, capsys):
    answer(model, "长" * 22, SAMPLING, Console())
    err = capsys.readouterr().err
    assert "66" in err and "64" in err
    answer(model, "长" * 21, SAMPLING, Console())
    assert capsys.readouterr().err == ""


def test_ctrl_c_ends_the_answer_and_keeps_what_was_written(model, monkeypatch, capsys):
    def interrupted(self, prompt, sampling):
        yield "one"
        yield " two"
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalInferenceModel, "stream", interrupted)
    assert answer(model, "x", SAMPLING, Console()) == "one two"
    assert "xone two\n" in capsys.readouterr().out
