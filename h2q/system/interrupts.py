"""Ctrl-C and termination signals. A long job asks for them between two steps; elsewhere they raise
an error. Saves nothing: that is for the job."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_Handler = Callable[[int, FrameType | None], object]


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether Ctrl-C, SIGTERM or SIGHUP has arrived.

    The first request waits until the job asks. A second Ctrl-C raises ``KeyboardInterrupt`` at
    once. A signal that is ignored (``nohup``, a job in the background) stays ignored. Outside the
    main thread, where signals cannot be caught, the answer is always no.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    with _handling(("SIGINT", "SIGTERM", "SIGHUP"), ask):
        yield asked.is_set


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP raise ``KeyboardInterrupt``, as Ctrl-C does: while text is read, for
    example, or between two training runs. Within ``stop_requests`` they do not raise."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(("SIGTERM", "SIGHUP"), signal.default_int_handler):
        yield


@contextlib.contextmanager
def _handling(names: tuple[str, ...], handler: _Handler) -> Iterator[None]:
    """Lets ``handler`` handle these signals, except those that are ignored and those that the
    system does not have (Windows has no SIGHUP)."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
