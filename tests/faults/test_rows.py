"""Every row of the list has its tests, and they are there."""

import ast

import pytest

from .nursery import REPOSITORY
from .rows import ROWS


def test_no_row_is_missing():
    assert list(ROWS) == list(range(1, 41))


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_a_row_exist(row):
    for place in ROWS[row][1]:
        path, part = place.split("::")
        tree = ast.parse((REPOSITORY / "tests" / path).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert any(part in name for name in names if name.startswith("test_")), place
