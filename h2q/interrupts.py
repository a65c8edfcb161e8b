"""Ctrl-C and termination as a question that a long job asks between two steps."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def stop_requests():
    """Yields a function that tells whether Ctrl-C, SIGTERM or SIGHUP came.

    The first request waits for the end of a step. A second Ctrl-C raises ``KeyboardInterrupt`` at
    once. Outside the main thread, where signals cannot be caught, nothing is ever asked.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number, frame):
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
