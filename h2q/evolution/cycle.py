"""Runs the three phases of one cycle: ``planning``, ``challenger``, ``comparison``.

Each phase leaves its result on disk, so a killed cycle goes on with the first phase that was not
done. Everything random is a function of the seed and the number of the cycle. No phase touches the
champion's file: ``engine`` decides what becomes of the challenger.
"""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace

from h2q.evolution import challenger, comparison, planning
from h2q.evolution.context import Cycle
from h2q.evolution.records import Lesson, Plan, Training, Verdict, as_json, load, run_phase
from h2q.system.files import sha256_of_file
from h2q.system.paths import CyclePaths


def run(cycle: Cycle) -> Verdict | None:
    """The verdict on the challenger of this cycle; None where there is nothing left to teach."""
    paths = cycle.paths
    plan = _plan(cycle)
    if plan.champion != sha256_of_file(cycle.setup.paths.model):  # trained anew meanwhile
        shutil.rmtree(paths.root)
        plan = _plan(cycle)
    if not plan.facts and not plan.teaches_prose:
        return None
    training = run_phase(Training, paths.training, lambda: challenger.train(cycle, plan))
    run_phase(Verdict, paths.verdict, lambda: comparison.compare(cycle, plan, training))
    return finished(paths)


def _plan(cycle: Cycle) -> Plan:
    return run_phase(Plan, cycle.paths.plan, lambda: planning.plan(cycle))


def finished(paths: CyclePaths) -> Verdict | None:
    """The verdict of a cycle whose phases are all done, with the lesson in its entry; else None."""
    verdict = load(Verdict, paths.verdict)
    found = (load(Lesson, each.lesson) for each in rounds_of(paths))
    lessons = [lesson for lesson in found if lesson is not None]
    if verdict is None or not lessons:
        return None
    return replace(
        verdict, entry={**verdict.entry, "generated": as_json(sum(lessons[1:], lessons[0]))}
    )


def rounds_of(paths: CyclePaths) -> Iterator[CyclePaths]:
    """The files of each round that has begun."""
    numbers = itertools.count(1)
    return itertools.takewhile(lambda each: each.lesson.exists(), map(paths.round, numbers))


def remove_bulk(paths: CyclePaths) -> None:
    """Removes the lesson's text, the checkpoints and the models of a cycle; the records stay."""
    for each in rounds_of(paths):
        for directory in (each.text, each.output.checkpoints, each.output.model.parent):
            shutil.rmtree(directory, ignore_errors=True)
    for path in (paths.challenger, paths.trunk):
        path.unlink(missing_ok=True)
