from itertools import starmap

import pytest

from h2q.evolution.context import Course
from h2q.evolution.records import Memory
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of


@pytest.mark.parametrize(
    ("cycles", "courses"),
    [
        (1, [(0, 1)]),
        (3, [(0, 3), (1, 3), (2, 3)]),
        (5, [(0, 3), (1, 3), (2, 3), (0, 2), (1, 2)]),
    ],
)
def test_courses_have_three_cycles_and_the_last_one_what_is_left(cycles, courses):
    found = [Course.of_cycle(11 + n, 11, 10 + cycles) for n in range(cycles)]
    assert found == list(starmap(Course, courses))
    assert [course.goes_on for course in found] == [i + 1 < count for i, count in courses]


def test_a_cycle_knows_its_files_and_whom_to_ask_again(output):
    memory = Memory(known={"f2": True, "f1": False})
    cycle = cycle_of(driver.engine(output), number=12, memory=memory)
    assert cycle.paths.root.name == "cycle_0012"
    assert cycle.retained == ["f1", "f2"]
    assert cycle.setup.seed == driver.TRAINING.seed
