from dataclasses import replace

from h2q.checkpoint.model_file import load_model
from h2q.evolution import pace
from h2q.evolution.pace import affordable_bytes
from tests.evolution import evolution_driver as driver


def test_planned_minutes_decide_how_much_a_cycle_trains_on(output, training_only):
    sizes = []
    for minutes in (0.5, 5.0):
        engine = driver.engine(output, max_minutes=minutes, cycles=1)
        engine.evolve()
        sizes.append(engine.run.cycle_bytes)
    assert 3 < sizes[1] / sizes[0] < 30


def test_all_cycles_share_the_minutes(output, monkeypatch):
    monkeypatch.setattr(pace, "_bytes_per_second", lambda *_: 1000.0)
    engine = driver.engine(output)
    champion, _ = load_model(engine.paths.model)
    config = replace(engine.config, max_minutes=1.0, cycles=5)
    assert affordable_bytes(engine.setup, champion, config) == 9000  # 45 of 60 s
    config = replace(config, cycles=10**6)
    assert affordable_bytes(engine.setup, champion, config) == 2 * 64


def test_measuring_leaves_the_champion_and_the_disk_as_they_are(output):
    engine = driver.engine(output, max_minutes=1.0)
    champion, _ = load_model(engine.paths.model)
    before = {name: weight.clone() for name, weight in champion.state_dict().items()}
    assert affordable_bytes(engine.setup, champion, engine.config) > 128
    assert all((weight == before[name]).all() for name, weight in champion.state_dict().items())
    assert not (engine.paths.evolution / "pace").exists()
