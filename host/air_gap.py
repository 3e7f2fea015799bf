"""Air-gapped mode: what would open a connection to another machine asks here first.

The setting `air_gapped` switches it on. Reachable are then this machine's loopback addresses, its Unix sockets, and the
hosts of `air_gapped_hosts`, which are for servers of models and for databases on the same isolated network.
"""

import os
from collections.abc import Mapping, Sequence

from host.settings import load_settings
from models.addresses import host_of, is_loopback
from models.errors import AirGapError

AS_A_PACKAGE = "run `cra package repository` for the repository on a connected machine, and `cra ingest` here"
"""The remedy where a repository, or what its tests need, would be downloaded."""
SHUT = (
    "repositories by URL; downloads of wheels, interpreters, Node.js and npm packages; on other machines, servers of "
    "models, flows and databases"
)
"""What air-gapped mode refuses, for people."""
_SWITCH = "air_gapped is on (cra.toml or CRA_AIR_GAPPED)"
_SHOWN = 200


def is_air_gapped() -> bool:
    """Whether the settings in force here say so. Raises SettingsError for settings that cannot be read."""
    return load_settings().air_gapped


def refuse_address(what: str, address: str) -> None:
    """In air-gapped mode, raise AirGapError for a URL or host that is neither loopback nor in `air_gapped_hosts`.

    `what` names the connection in the message.
    """
    settings = load_settings()
    host = host_of(address)
    if settings.air_gapped and not is_loopback(host) and host not in settings.air_gapped_hosts:
        raise AirGapError(
            f"{what} at {_shown(address)} is on another machine, and {_SWITCH}; "
            "use one on this machine, or add a host of the isolated network to air_gapped_hosts"
        )


def refuse_network(what: str, remedy: str) -> None:
    """In air-gapped mode, raise AirGapError for what always needs the network: a download, a remote repository."""
    if is_air_gapped():
        raise AirGapError(f"{what} needs the network, and {_SWITCH}; {remedy}")


def refuse_database(host: str, options: Mapping[str, str | Sequence[str]]) -> None:
    """In air-gapped mode, raise AirGapError for a PostgreSQL server on another machine that is not allowed.

    `host` and `options` are of its URL. The hosts are found as libpq finds them: in the options, in the URL, or in the
    environment. A path or a name that begins with @ is a Unix socket.
    """
    if not is_air_gapped():
        return
    if options.get("service") or os.environ.get("PGSERVICE"):
        raise AirGapError(f"the database is given as a service of libpq, and {_SWITCH}; give its URL with a host")
    for found in (
        options.get("host") or host or os.environ.get("PGHOST", ""),
        options.get("hostaddr") or os.environ.get("PGHOSTADDR", ""),
    ):
        for each in [found] if isinstance(found, str) else found:
            for name in filter(None, each.split(",")):
                if not name.startswith(("/", "@")):
                    refuse_address("the database", name)


def uses_proxies(url: str) -> bool:
    """Whether requests to a server may take the proxies of the environment: not those to loopback, and none in
    air-gapped mode, where a proxy on this machine would carry them to anywhere."""
    return not is_loopback(host_of(url)) and not is_air_gapped()


def _shown(address: str) -> str:
    """An address for a message: without user and password, at most 200 characters."""
    scheme, separator, rest = address.rpartition("://")
    shown = f"{scheme}{separator}{rest.rpartition('@')[2]}"
    return shown[:_SHOWN] if shown.isprintable() else ascii(shown[:_SHOWN])
