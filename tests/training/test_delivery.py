"""The model that a run leaves."""

from dataclasses import replace

import torch

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.checkpoint.model_file import load_model, save_model
from h2q.system.console import Console
from h2q.system.paths import CHECKPOINT_DIR, MODEL_PATH
from tests.training.conftest import CONFIG, resume, ruined_after


def test_delivered_model_is_the_best_epoch(make_trainer, tmp_path):
    """If the model becomes worse after the first epoch, the weights of the first are delivered."""
    trainer = ruined_after(make_trainer(replace(CONFIG, epochs=3, lr=3e-3)), 1)
    trainer.train()
    assert trainer.position.best["epoch"] == 1
    model, provenance = load_model(tmp_path / "out" / MODEL_PATH)
    assert provenance["epoch"] == 1
    best = CheckpointDirectory(tmp_path / "out" / CHECKPOINT_DIR).load_best()
    assert torch.equal(model.output.weight, best.tensors["model.output.weight"])


def test_resuming_a_finished_run_changes_nothing(make_trainer, tmp_path):
    make_trainer().train()
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    model = resume(make_trainer, tmp_path).train()
    after = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert before == after
    # An evolution that was killed here goes on with the model that is returned.
    saved = load_model(tmp_path / "out" / MODEL_PATH)[0].memory.arrays()
    assert all((saved[name] == array).all() for name, array in model.memory.arrays().items())


def test_resuming_a_finished_run_leaves_the_model_that_evolved_from_it(make_trainer, tmp_path):
    model = make_trainer().train()
    path = tmp_path / "out" / MODEL_PATH
    _, provenance = load_model(path)
    with torch.no_grad():
        model.output.bias += 1
    save_model(path, model, {**provenance, "evolution_cycle": 1})
    evolved = path.read_bytes()
    resume(make_trainer, tmp_path).train()
    assert path.read_bytes() == evolved


def test_a_model_from_before_there_was_a_validation_part_is_of_the_run(make_trainer, tmp_path):
    """Its settings lack one that the resumed run has."""
    config = replace(CONFIG, validation_fraction=0.0)
    model = make_trainer(config).train()
    path = tmp_path / "out" / MODEL_PATH
    _, provenance = load_model(path)
    del provenance["training"]["validation_fraction"]
    save_model(path, model, {**provenance, "evolution_cycle": 1})
    evolved = path.read_bytes()
    resume(make_trainer, tmp_path, config).train()
    assert path.read_bytes() == evolved


def test_the_last_epoch_is_delivered_where_the_best_is_damaged(make_trainer, capsys):
    trainer = ruined_after(make_trainer(replace(CONFIG, epochs=2), console=Console()), 1)
    finish = trainer._finish_epoch

    def finish_and_damage(stop):
        path = finish(stop)
        (trainer.checkpoints.directory / "best.pt").unlink()
        (trainer.checkpoints.directory / "best.pt").write_bytes(b"damaged")
        return path

    trainer._finish_epoch = finish_and_damage
    weight = trainer.train().output.weight
    model, provenance = load_model(trainer.paths.model)
    assert provenance["epoch"] == 2
    assert torch.equal(model.output.weight, weight)
    assert str(trainer.checkpoints.directory) in capsys.readouterr().err


def test_a_damaged_model_stays_beside_the_new_one(make_trainer):
    trainer = make_trainer(replace(CONFIG, epochs=1))
    trainer.paths.model.parent.mkdir(parents=True)
    trainer.paths.model.write_bytes(b"damaged")
    trainer.train()
    assert trainer.paths.previous_model.read_bytes() == b"damaged"
    load_model(trainer.paths.model)
