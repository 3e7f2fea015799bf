"""Imported by every Python process that has this folder on its PYTHONPATH: an audit hook that writes down connections.

Each connection, datagram and resolution of a name becomes one line of JSON in the file that WATCHED_CONNECTIONS names.
"""

import json
import os
import sys
from typing import Any

_ADDRESSED = {"socket.connect", "socket.sendmsg", "socket.sendto"}
_NAMED = {"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"}
_LOG = os.environ.get("WATCHED_CONNECTIONS", "")


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _NAMED:
        host = arguments[0]
    elif event in _ADDRESSED and isinstance(arguments[1], tuple) and isinstance(arguments[1][0], str):
        host = arguments[1][0]  # else a Unix socket or one of the kernel's
    else:
        return
    shown = host.decode(errors="replace") if isinstance(host, bytes) else host
    line = json.dumps([event, shown, sys.argv[:3] if hasattr(sys, "argv") else []])
    log = os.open(_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"{line}\n".encode())
    finally:
        os.close(log)


if _LOG:
    sys.addaudithook(_record)
