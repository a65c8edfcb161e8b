"""Lines that a person types in a terminal: editing them, finding earlier ones, and leaving.

Does not read them: that is for ``input``.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

LEAVE = {"quit", "exit", "q", "/bye", "/quit", "/exit"}
_HISTORY_LINES = 1000


@contextlib.contextmanager
def line_editing(history: Path) -> Iterator[None]:
    """Line editing for ``input``, with the lines that were typed in earlier runs."""
    try:
        import readline
    except ImportError:  # on Windows, where the console edits lines
        yield
        return
    readline.set_auto_history(True)
    readline.set_history_length(_HISTORY_LINES)
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        if os.isatty(0):  # nobody typed what comes from a pipe
            with contextlib.suppress(OSError):
                readline.write_history_file(history)
                os.chmod(history, 0o600)
