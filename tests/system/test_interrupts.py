"""Signals: a flag that the program asks for, and an interrupt."""

import contextlib
import os
import signal
import threading

import pytest

from h2q.system.interrupts import stop_requests, termination_as_interrupt

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def handlers() -> list:
    return [signal.getsignal(getattr(signal, name)) for name in STOPPING]


@pytest.fixture(autouse=True)
def unharmed():
    """Every test leaves the handlers as it found them."""
    before = handlers()
    yield
    assert handlers() == before


@pytest.mark.parametrize("name", STOPPING)
def test_a_signal_is_an_answer_and_stops_nothing(name):
    with stop_requests() as asked:
        assert not asked()
        send(name)
        assert asked()
        assert asked(), "it is not forgotten"


def test_the_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt), stop_requests() as asked:
        send("SIGINT")
        assert asked()
        send("SIGINT")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_second_termination_is_still_a_question(name):
    with stop_requests() as asked:
        send(name)
        send(name)
        assert asked()


@pytest.mark.parametrize("make", [stop_requests, termination_as_interrupt])
def test_what_is_ignored_stays_so(make):
    """This is the case under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with make() as asked:
            send("SIGHUP")
            assert asked is None or not asked()
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_termination_is_an_interrupt(name):
    with pytest.raises(KeyboardInterrupt), termination_as_interrupt():
        send(name)


def test_within_a_job_that_asks_termination_is_a_question_and_behind_it_an_interrupt():
    with pytest.raises(KeyboardInterrupt), termination_as_interrupt():
        with stop_requests() as asked:
            send("SIGTERM")
            assert asked()
        send("SIGTERM")


@pytest.mark.parametrize("make", [stop_requests, termination_as_interrupt])
def test_handlers_are_given_back_after_an_error(make):
    before = handlers()
    with contextlib.suppress(KeyError), make():
        assert handlers() != before
        raise KeyError
    assert handlers() == before


@pytest.mark.parametrize("make", [stop_requests, termination_as_interrupt])
def test_another_thread_cannot_catch_signals_and_is_never_asked(make):
    answers = []

    def work():
        before = handlers()
        with make() as asked:
            answers.append(handlers() == before and (asked is None or asked() is False))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [True]


@pytest.mark.parametrize("make", [stop_requests, termination_as_interrupt])
def test_a_signal_that_the_system_lacks_is_left_out(make, monkeypatch):
    """Windows has no SIGHUP."""
    monkeypatch.delattr(signal, "SIGHUP")
    with make():
        pass
