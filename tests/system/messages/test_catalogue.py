import ast
import io
import re
import string
import sys
from collections import Counter

import pytest

from h2q.system import errors
from h2q.system.messages import catalogue, system
from h2q.system.messages.catalogue import LANGUAGES, MESSAGES, ROOMS, message
from tests.conftest import REPOSITORY

SPEAKERS = {"say", "warn", "message", "_parser"} | {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.H2QError)
}
FAMILIES = {key.partition(".")[0] for key in MESSAGES}
SOURCES = [
    path
    for path in (REPOSITORY / "h2q").rglob("*.py")
    if path.parent.name != "messages" or path.stem == "catalogue"
]
NODES = [
    (path.relative_to(REPOSITORY / "h2q"), node)
    for path in SOURCES
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
]


def placeholders(sentence: str) -> list:
    """(name, format, conversion) of each placeholder, sorted."""
    return sorted(
        (name, spec, conversion or "")
        for _, name, spec, conversion in string.Formatter().parse(sentence)
        if name is not None
    )


def text_of(node) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else None


def spoken():
    """Each call in the source that names its message: (place, key, the call)."""
    for file, node in NODES:
        if not (isinstance(node, ast.Call) and node.args):
            continue
        speaker = getattr(node.func, "attr", getattr(node.func, "id", None))
        if speaker in SPEAKERS and text_of(node.args[0]) is not None:
            yield f"{file}:{node.lineno}", node.args[0].value, node


def room_name(room) -> str:
    return room.__name__.rpartition(".")[2]


def users() -> dict[str, set[str]]:
    """For each key the folders whose code names it; ``config`` counts as one."""
    found = {key: set() for key in MESSAGES}
    for file, node in NODES:
        if text_of(node) in found:
            found[node.value].add(file.parts[0].removesuffix(".py"))
    return found


def test_no_key_stands_in_two_rooms():
    keys = Counter(key for room in ROOMS for key in room.MESSAGES)
    assert [key for key, count in keys.items() if count > 1] == []
    assert MESSAGES.keys() == keys.keys()


def test_every_room_is_in_the_catalogue():
    files = (REPOSITORY / "h2q" / "system" / "messages").glob("*.py")
    assert {file.stem for file in files} - {"__init__", "catalogue"} == set(map(room_name, ROOMS))


@pytest.mark.parametrize("room", ROOMS, ids=room_name)
def test_the_sentences_of_a_room_are_said_by_the_folder_of_that_name(room):
    """Or by ``cli``, which reports on all of them. The room ``system`` also holds what ``config``
    says, which is no folder, and what more than one folder says."""
    strangers = []
    for key, folders in users().items():
        if key not in room.MESSAGES:
            continue
        common = room_name(room) == "system" and ("config" in folders or len(folders) > 1)
        if not common and not folders & {room_name(room), "cli"}:
            strangers.append((key, folders))
    assert strangers == []


def test_what_only_cli_says_is_not_in_the_room_of_all():
    assert [key for key in system.MESSAGES if users()[key] == {"cli"}] == []


@pytest.mark.parametrize("key", MESSAGES)
def test_both_languages_have_the_same_placeholders(key):
    chinese, english = MESSAGES[key]
    assert placeholders(chinese) == placeholders(english)


@pytest.mark.parametrize("key", MESSAGES)
def test_each_sentence_is_in_its_language(key):
    """English holds no Chinese; Chinese does, unless there is nothing to translate."""
    chinese, english = MESSAGES[key]
    assert not re.search("[\u3000-\u9fff\uff00-\uffef]", english)
    assert re.search("[\u4e00-\u9fff]", chinese) or chinese == english


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", MESSAGES)
def test_each_sentence_can_be_filled(key, language):
    catalogue.set_language(language)
    wanted = placeholders(MESSAGES[key][LANGUAGES.index(language)])
    values = {name: 7 if spec else "seven" for name, spec, _ in wanted}
    filled = message(key, **{name: values[name] for name in values.keys() - catalogue._programs})
    assert filled.strip()
    assert "{" not in filled


def test_every_message_that_the_source_names_exists():
    calls = list(spoken())
    assert len(calls) > 80
    assert [(place, key) for place, key, _ in calls if key not in MESSAGES] == []


def test_every_text_that_looks_like_a_key_is_one():
    """Finds keys that reach ``message`` by way of a variable."""
    texts = {(file, text_of(node)) for file, node in NODES if text_of(node)}
    lookalikes = {
        (file, text)
        for file, text in texts
        if re.fullmatch("[a-z]+\\.[a-z_]+", text) and text.partition(".")[0] in FAMILIES
    }
    others = re.compile(r"\.(json|safetensors|sqlite|weight|bias)$")  # files, weights of a model
    lookalikes = {(file, text) for file, text in lookalikes if not others.search(text)}
    assert {(file, text) for file, text in lookalikes if text not in MESSAGES} == set()


def test_every_message_is_used():
    used = {text_of(node) for _, node in NODES}
    assert [key for key in MESSAGES if key not in used] == []


def test_every_message_is_given_the_values_it_needs():
    wrong = []
    for place, key, call in spoken():
        given = {keyword.arg for keyword in call.keywords}
        needed = {name for name, _, _ in placeholders(MESSAGES.get(key, ("", ""))[0])}
        needed -= set(catalogue._programs)
        if None not in given and given != needed:  # None stands for **values
            wrong.append((place, key, given ^ needed))
    assert wrong == []


README_LINES = [
    ("train.epoch", {"epoch": 1, "epochs": 2}, "\n📅 Epoch 1/2\n" + "-" * 40),
    (
        "train.batch",
        {"batch": 0, "loss": 5.7442, "perplexity": 312.36, "lr": 0.000096},
        "  批次   0 | 损失: 5.7442 | 困惑度: 312.36 | LR: 0.000096",
    ),
    (
        "train.evaluation",
        {"loss": 5.0545, "perplexity": 156.73},
        "📊 评估损失: 5.0545 | 困惑度: 156.73",
    ),
    (
        "train.done",
        {"seconds": 6.85, "loss": 5.1057, "perplexity": 164.96},
        "\n🎉 训练完成！\n⏱️ 总训练时间: 6.85 秒\n📉 最终损失: 5.1057\n🎯 最终困惑度: 164.96",
    ),
    (
        "evolve.stats",
        {
            "total_evolutions": 2,
            "successful_evolutions": 1,
            "failed_evolutions": 1,
            "average_improvement": 0.0099,
        },
        "\n🧬 进化统计:\n  🔬 总进化次数: 2\n  ✅ 成功进化: 1\n  ❌ 失败进化: 1\n  📊 平均改进: 0.0099",
    ),
]


@pytest.mark.parametrize(("key", "values", "lines"), README_LINES)
def test_readme_lines(key, values, lines):
    """README 示例训练输出, 进化统计: to the letter."""
    assert message(key, **values) == lines


def test_language_that_is_not_spoken_is_refused():
    with pytest.raises(ValueError, match="'fr'"):
        catalogue.set_language("fr")
    assert message("chat.bye") == "👋 再见！"


@pytest.mark.parametrize(
    ("encoding", "language"), [("utf-8", "zh"), ("gbk", "zh"), ("cp1252", "en"), ("ascii", "en")]
)
def test_default_language_is_one_that_the_output_can_hold(monkeypatch, encoding, language):
    monkeypatch.delenv("H2Q_LANG", raising=False)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert catalogue.default_language() == language


@pytest.mark.parametrize(
    ("wanted", "language"), [("en", "en"), ("zh", "zh"), ("fr", "zh"), ("", "zh"), (None, "zh")]
)
def test_default_language_follows_the_environment(monkeypatch, wanted, language):
    monkeypatch.delenv("H2Q_LANG", raising=False)
    if wanted is not None:
        monkeypatch.setenv("H2Q_LANG", wanted)
    assert catalogue.default_language() == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_language_that_was_chosen_is_in_use(language):
    catalogue.set_language(language)
    assert catalogue.language() == language
    assert message("chat.bye") == MESSAGES["chat.bye"][LANGUAGES.index(language)]


def test_a_sentence_in_another_language_than_the_one_in_use():
    assert catalogue.message_in("en", "chat.bye") == "👋 Goodbye!"


def test_sentences_say_how_the_programs_are_started(monkeypatch):
    monkeypatch.setattr(catalogue, "_programs", dict(catalogue._programs))
    assert "python3 local_training_system.py --mode train" in message("model.missing", path="m")
    catalogue.set_programs("h2q-train", "h2q-chat")
    assert "h2q-train --mode train" in message("model.missing", path="m")
    assert "h2q-chat --mode score" in message("usage.files")
