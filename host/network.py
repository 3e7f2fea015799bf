"""What the kernel says of this machine's network: interfaces that are up, and default routes."""

import socket
from pathlib import Path

_UP = 0x1
_INTERFACES, _ROUTES, _ROUTES6 = Path("/sys/class/net"), Path("/proc/net/route"), Path("/proc/net/ipv6_route")
_ANYWHERE, _ANYWHERE6 = ("00000000", "00000000"), ("0" * 32, "00")
_LOOPBACK = "lo"


def interfaces_up() -> list[str]:
    """Names of this process's network interfaces that are switched on, loopback left out; empty where the kernel has no
    list. Of another network namespace, whose /sys may be what is mounted, none counts."""
    found, ours = [], {name for _, name in socket.if_nameindex()}
    for interface in sorted(each for each in _INTERFACES.glob("*") if each.name in ours):
        try:
            flags = int((interface / "flags").read_text(), 16)
        except (OSError, ValueError):  # gone meanwhile, or a file that is no interface
            continue
        if flags & _UP and interface.name != _LOOPBACK:
            found.append(interface.name)
    return found


def default_routes() -> list[str]:
    """Names of the interfaces by which packets to unknown addresses leave this machine, IPv4 or IPv6."""
    found = {words[0] for words in _rows(_ROUTES)[1:] if (words[1], words[7]) == _ANYWHERE}
    found |= {words[9] for words in _rows(_ROUTES6) if (words[0], words[1]) == _ANYWHERE6}
    return sorted(found - {_LOOPBACK})


def _rows(table: Path) -> list[list[str]]:
    try:
        return [line.split() for line in table.read_text().splitlines()]
    except OSError:  # a kernel without it
        return []
