"""Network addresses: whether one is of this machine, decided by its text alone; no name is resolved."""

import ipaddress
from urllib.parse import urlsplit


def host_of(address: str) -> str:
    """The host in a URL, or a bare host itself, in lower case; "" for a URL without one or with a user or password."""
    if "://" not in address:
        return address.lower()
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # a port that is none raises
    except ValueError:
        return ""
    bracketed = parts.netloc.partition("]")[2]
    odd = "@" in parts.netloc or "\\" in address or (bracketed and not bracketed.startswith(":"))
    return host if host and not odd else ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback: `localhost`, 127.0.0.0/8 in dotted form, or ::1.

    Other spellings of these addresses (`0x7f.1`, `2130706433`, `::1%zone`) are not accepted: libraries differ in how
    they read them.
    """
    if host == "localhost":
        return True
    try:
        return "%" not in host and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
