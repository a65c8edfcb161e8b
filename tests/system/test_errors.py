"""The tree of errors, their exit codes and sentences."""

import re

import pytest

from h2q.system import errors
from h2q.system.errors import H2QError
from h2q.system.messages import catalogue

TREE = {
    # class: (parent, exit code)
    "H2QError": ("Exception", 1),
    "UnusableInput": ("H2QError", 2),
    "SettingError": ("UnusableInput", 2),
    "CorpusError": ("UnusableInput", 2),
    "DocumentError": ("UnusableInput", 2),
    "ModelFileError": ("UnusableInput", 2),
    "KnowledgeError": ("UnusableInput", 2),
    "PromptsError": ("UnusableInput", 2),
    "DirectoryInUse": ("H2QError", 1),
    "SaveFailed": ("H2QError", 1),
    "TrainingDiverged": ("H2QError", 1),
    "NetworkBlocked": ("H2QError", 1),
    "Interrupted": ("H2QError", 130),
}


def test_tree_and_exit_codes():
    found = {
        name: (value.__base__.__name__, value.exit_code)
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, H2QError)
    }
    assert found == TREE


def test_docstring_draws_the_whole_tree():
    drawing = errors.__doc__.split("\n\n")[1]
    assert re.findall(r"^\W*([A-Z]\w+)", drawing, re.MULTILINE) == list(TREE)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("zh", "用法有误：x；用 --help 查看用法。"), ("en", "Wrong use: x; see --help.")],
)
def test_error_speaks_the_language_in_use_when_it_is_shown(language, sentence):
    error = errors.SettingError("usage.wrong", reason="x")
    catalogue.set_language(language)
    assert str(error) == sentence


def test_error_keeps_key_and_values():
    error = H2QError("usage.wrong", reason="x")
    assert (error.key, error.values) == ("usage.wrong", {"reason": "x"})
