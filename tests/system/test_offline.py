"""The tripwire: each attempt in a process of its own, because it cannot be disarmed."""

import socket
import sys

import pytest

from h2q.system import offline
from h2q.system.errors import NetworkBlocked
from tests.conftest import run_python

SCRIPT = """
import socket
from h2q.system.errors import NetworkBlocked
from h2q.system.offline import forbid_network
if {armed}:
    forbid_network()
try:
    {attempt}
except NetworkBlocked as error:
    print(error)
"""


def outcome(attempt: str, armed: bool = True) -> str:
    """What a process of its own prints: the error, or nothing."""
    return run_python(SCRIPT.format(attempt=attempt, armed=armed)).stdout


ATTEMPTS = {
    "socket.socket()": "socket.__new__",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)": "socket.__new__",
    "socket.socket(socket.AF_INET6)": "socket.__new__",
    "import _socket; _socket.socket().connect(('127.0.0.1', 9))": "socket.",
    "socket.create_connection(('127.0.0.1', 9))": "socket.getaddrinfo",
    "socket.getaddrinfo('localhost', 80)": "socket.getaddrinfo",
    "socket.gethostbyname('localhost')": "socket.gethostbyname",
    "socket.gethostbyname_ex('localhost')": "socket.gethostbyname",
    "socket.gethostbyaddr('127.0.0.1')": "socket.gethostbyaddr",
    "socket.getnameinfo(('127.0.0.1', 9), socket.NI_NUMERICHOST)": "socket.getnameinfo",
    "import urllib.request as u; u.urlopen('http://127.0.0.1:9/')": "socket.getaddrinfo",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_network_is_blocked(attempt):
    assert ATTEMPTS[attempt] in outcome(attempt)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socketpair()",
        "socket.socket(socket.AF_UNIX)",
        "import multiprocessing; multiprocessing.Pipe()",
        "import asyncio; asyncio.run(asyncio.sleep(0))",
        "import sys; sys.audit('other.event', 1, socket.AF_INET)",
    ],
)
def test_local_work_goes_on(attempt):
    assert outcome(attempt) == ""


def test_nothing_is_blocked_before_it_is_asked_for():
    assert outcome("socket.socket().close()", armed=False) == ""


def test_second_call_adds_no_second_hook():
    counted = (
        "import sys, h2q.system.offline as o; o._armed = False; n = []; sys.addaudithook = n.append; "
        "o.forbid_network(); o.forbid_network(); print(len(n))"
    )
    assert outcome(counted, armed=False) == "1\n"


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("socket.getaddrinfo", ("localhost", 80)),
        ("socket.gethostbyname", ("localhost",)),
        ("socket.__new__", (None, socket.AF_INET, socket.SOCK_STREAM, 0)),
        ("socket.__new__", (None, socket.AF_INET6, socket.SOCK_STREAM, 0)),
        ("socket.__new__", (None, -1, -1, -1)),
    ],
)
def test_events_that_reach_out_are_refused(event, arguments):
    with pytest.raises(NetworkBlocked) as error:
        offline._hook(event, arguments)
    assert error.value.values == {"event": event}


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("open", ("socket.getaddrinfo",)),
        ("socket.bind", (None, "path")),
        ("socket.__new__", (None, getattr(socket, "AF_UNIX", 1), socket.SOCK_STREAM, 0)),
    ],
)
def test_other_events_pass(event, arguments):
    offline._hook(event, arguments)


def test_it_is_armed_once(monkeypatch):
    hooks = []
    monkeypatch.setattr(sys, "addaudithook", hooks.append)
    monkeypatch.setattr(offline, "_armed", False)
    offline.forbid_network()
    offline.forbid_network()
    assert hooks == [offline._hook]
