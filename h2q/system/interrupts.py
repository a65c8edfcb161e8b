"""Ctrl-C and termination as a question that a long job asks between two steps."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def stop_requests():
    """Yields a function that tells whether Ctrl-C, SIGTERM or SIGHUP came.

    The first request waits for the end of a step. A second Ctrl-C raises ``KeyboardInterrupt`` at
    once. A signal that is ignored (``nohup``, a job in the background) stays so. Outside the main
    thread, where signals cannot be caught, nothing is ever asked.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number, frame):
        asked.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    with _handling(("SIGINT", "SIGTERM", "SIGHUP"), ask):
        yield asked.is_set


@contextlib.contextmanager
def termination_as_interrupt():
    """SIGTERM and SIGHUP raise ``KeyboardInterrupt`` as Ctrl-C does, wherever no ``stop_requests``
    is asked: between two trainings, in an evaluation, while text is read."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(("SIGTERM", "SIGHUP"), signal.default_int_handler):
        yield


@contextlib.contextmanager
def _handling(names: tuple[str, ...], handler):
    """Gives the signals of these names, where they exist (Windows has no SIGHUP) and are not
    ignored, to ``handler``."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
