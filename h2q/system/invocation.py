"""The commands that messages offer, in a form that works when a person copies them.

The person may have called a script or a program that ``pip`` installed, from any directory, with an
activated virtual environment or without.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

_SCRIPTS = ("local_training_system.py", "local_inference_demo.py")
_INSTALLED = ("h2q-train", "h2q-chat")


def command_line(words: list[str]) -> str:
    """A command as a person would type it in the shell of this system."""
    if os.name != "nt":
        return shlex.join(words)
    return " ".join(f'"{word}"' if re.search(r"[^\w.:=/\\-]", word) else word for word in words)


def programs() -> tuple[str, str]:
    """The commands that start training and inference, in the way this program was started."""
    called = Path(sys.argv[0])
    if called.stem in _INSTALLED:
        found = shutil.which(called.name)
        on_path = found is not None and Path(found) == called
        names = [name if on_path else str(called.with_name(name)) for name in _INSTALLED]
        return command_line(names[:1]), command_line(names[1:])
    directory = called.parent if called.name in _SCRIPTS else Path()
    train, chat = (command_line([_interpreter(), str(directory / name)]) for name in _SCRIPTS)
    return train, chat


def _interpreter() -> str:
    name = "python" if os.name == "nt" else "python3"  # its name in a virtual environment
    here, found = Path(sys.executable), shutil.which(name)
    activated = found is not None and Path(found).parent == here.parent
    if sys.prefix == sys.base_prefix or activated:
        return name
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)
