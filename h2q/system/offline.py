"""The network tripwire: a Python-level attempt to reach a network raises ``NetworkBlocked``.

It is a tripwire, not a sandbox. Audit hooks see what Python code does; they do not see a system
call made from C. Local (AF_UNIX) sockets and socket pairs stay allowed.
"""

import sys
from typing import Any

from h2q.system.errors import NetworkBlocked

_LOOKUPS = {
    "socket.getaddrinfo",
    "socket.getnameinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
}
_armed = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    import socket

    if event in _LOOKUPS or (
        event == "socket.__new__" and arguments[1] in (-1, socket.AF_INET, socket.AF_INET6)
    ):
        raise NetworkBlocked("network.blocked", event=event)


def forbid_network() -> None:
    """Arms the tripwire for the rest of this process; a second call does nothing."""
    global _armed
    if not _armed:
        sys.addaudithook(_hook)
        _armed = True
