"""Runs the four phases of one cycle: ``planning``, ``lesson``, ``challenger``, ``comparison``.

Each phase leaves its result on disk, so a killed cycle goes on with the first phase that was not
done. Everything random is a function of the seed and the number of the cycle. No phase touches the
champion's file: ``engine`` decides what becomes of the challenger.
"""

import shutil
from dataclasses import replace

from h2q.evolution import challenger, comparison, lesson, planning
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
    run_phase(Lesson, paths.lesson, lambda: lesson.write(cycle, plan))
    training = run_phase(Training, paths.training, lambda: challenger.train(cycle, plan))
    run_phase(Verdict, paths.verdict, lambda: comparison.compare(cycle, plan, training))
    return finished(paths)


def _plan(cycle: Cycle) -> Plan:
    return run_phase(Plan, cycle.paths.plan, lambda: planning.plan(cycle))


def finished(paths: CyclePaths) -> Verdict | None:
    """The verdict of a cycle whose phases are all done, with the lesson in its entry; else None."""
    verdict, written = load(Verdict, paths.verdict), load(Lesson, paths.lesson)
    if verdict is None or written is None:
        return None
    return replace(verdict, entry={**verdict.entry, "generated": as_json(written)})


def remove_bulk(paths: CyclePaths) -> None:
    """Removes the lesson's text, the checkpoints and the models of a cycle; the records stay."""
    for directory in (paths.text, paths.output.checkpoints, paths.output.model.parent):
        shutil.rmtree(directory, ignore_errors=True)
    for path in (paths.challenger, paths.trunk):
        path.unlink(missing_ok=True)
