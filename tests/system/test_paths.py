"""Where the files lie: the README's names, and nothing outside of the output directory."""

import inspect
from pathlib import Path

import pytest

from h2q.system import paths
from h2q.system.paths import CyclePaths, OutputPaths, shipped_data, shipped_knowledge_dir

ROOT = Path("out put")
OUTPUT = OutputPaths(ROOT)
CYCLE = OUTPUT.cycle(7)


def places(record) -> dict[str, Path]:
    """Every path of a record by the name of its property."""
    kind = type(record)
    names = [name for name, value in vars(kind).items() if isinstance(value, property)]
    values = {name: getattr(record, name) for name in names}
    return {name: value for name, value in values.items() if isinstance(value, Path)}


@pytest.mark.parametrize(
    ("name", "written"),
    {
        "model": "h2q_project/h2q_trained_model.pt",
        "previous_model": "h2q_project/h2q_trained_model.previous.pt",
        "checkpoints": "training_checkpoints",
        "training_log": "training_log.json",
        "evolution_stats": "evolution_stats.json",
        "report": "training_report.png",
        "tensorboard": "tensorboard",
        "previous_tensorboard": "tensorboard.previous",
        "transcoded": "training_checkpoints/transcoded",
        "evolution": "training_checkpoints/evolution",
        "knowledge_index": "training_checkpoints/evolution/index.sqlite",
        "knowledge_problems": "training_checkpoints/evolution/knowledge_problems.txt",
        "evolution_run": "training_checkpoints/evolution/run.json",
        "champions": "training_checkpoints/evolution/champions.json",
        "ancestor": "training_checkpoints/evolution/ancestor.pt",
        "trunk": "training_checkpoints/evolution/trunk.pt",
    }.items(),
)
def test_names_are_those_that_a_person_knows(name, written):
    """README 文件结构; a directory of an earlier version is found again."""
    assert getattr(OUTPUT, name) == ROOT / written


@pytest.mark.parametrize(
    ("name", "written"),
    {
        "plan": "plan.json",
        "lesson": "lesson.json",
        "training": "challenger.json",
        "verdict": "verdict.json",
        "text": "text",
        "generated_record": "generated.jsonl",
        "challenger": "challenger.pt",
        "trunk": "trunk.pt",
    }.items(),
)
def test_names_within_a_cycle(name, written):
    assert getattr(CYCLE, name) == ROOT / "training_checkpoints/evolution/cycle_0007" / written


@pytest.mark.parametrize("record", [OUTPUT, CYCLE], ids=["output", "cycle"])
def test_no_two_names_are_one_place_and_all_lie_below_the_root(record):
    found = places(record)
    assert len(set(found.values())) == len(found) > 5
    assert all(path.is_relative_to(record.root) and path != record.root for path in found.values())


def test_cycles_sort_by_their_numbers():
    names = [OUTPUT.cycle(number).root.name for number in (1, 2, 10, 9999)]
    assert names == sorted(names)


def test_a_cycle_is_the_output_directory_of_its_training():
    assert CYCLE.output == OutputPaths(CYCLE.root)
    assert CyclePaths(CYCLE.root) == CYCLE


@pytest.mark.parametrize("root", [Path(), Path("a/b"), Path("/a")])
def test_the_output_directory_of_a_model_is_found(root):
    assert OutputPaths.of_model(OutputPaths(root).model) == OutputPaths(root)


def test_shipped_data_is_that_of_the_checkout_or_of_the_installation(tmp_path, monkeypatch):
    assert (shipped_knowledge_dir() / "wordings.json").is_file()
    package = tmp_path / "h2q"
    package.mkdir()
    monkeypatch.setattr(paths.resources, "files", lambda name: package)
    assert shipped_data() == tmp_path / "data"
    (package / "data").mkdir()
    assert shipped_data() == package / "data"


def test_no_path_is_made_by_looking_at_the_disk():
    """The names alone: a record can be made of a directory that does not exist."""
    source = inspect.getsource(OutputPaths) + inspect.getsource(CyclePaths)
    assert not any(word in source for word in ("exists", "mkdir", "resolve", "is_dir"))
