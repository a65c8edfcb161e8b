"""The short form of experiment A: the engine against plain training on as many bytes.

Thresholds are well below what was measured (``benchmarks/RESULTS.md``) and above what a broken
engine reaches. The short form of C is in ``test_gate`` and ``test_engine``.
"""

import sys

import pytest

from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "evolution"))
from biographies import arguments_of, run

SHORT = (
    "--people 24 --megabytes 0.6 --cycles 1 --relations 1 --base_epochs 1 --seeds 1 --model short "
    "--lr 1e-2 --exposures 300 --replay 0.2"
)


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    out = tmp_path_factory.mktemp("biographies")
    rows = run(arguments_of([str(out), *SHORT.split(), "--arms", "P1", "E"]))
    return {row["arm"]: row for row in rows}


def test_the_engine_answers_for_people_never_asked_about(arms):
    """At most as many bytes, and more right answers, by a wide margin."""
    assert arms["E"]["trained_bytes"] <= arms["P1"]["trained_bytes"]
    assert arms["P1"]["never_asked"] <= 0.6, "plain biographies would do: the text is too easy"
    assert arms["E"]["never_asked"] >= arms["P1"]["never_asked"] + 0.2


def test_canaries_stay_at_chance(arms):
    assert arms["E"]["canaries"] <= 0.25
