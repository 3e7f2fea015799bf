"""What an attack is, and how one is tried."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class GotThrough(Exception):
    """An attack had its effect; the message says which."""


class NotHere(Exception):
    """An attack cannot be tried on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Attack:
    """One attack. `run` gets an empty directory and returns how the attack was held, in a line.

    It raises GotThrough when the attack had its effect and NotHere when it cannot be tried. Any other exception means
    that the attack made our code fail in an unforeseen way, which counts as not held. `residual` names the row of the
    table of residual risks that the attack belongs to; empty for one that must be held. `index` tells that it needs the
    package index, to make an environment with.
    """

    kind: str
    name: str
    run: Callable[[Path], str]
    residual: str = ""
    index: bool = False


@dataclass(frozen=True)
class Tried:
    """How an attack ended: `held`, or None when it could not be tried here."""

    attack: Attack
    held: bool | None
    said: str
    seconds: float


def attempt(attack: Attack, scratch: Path) -> Tried:
    """Try one attack in an empty directory."""
    started = time.monotonic()
    held: bool | None
    try:
        held, said = True, attack.run(scratch)
    except GotThrough as error:
        held, said = False, str(error)
    except NotHere as error:
        held, said = None, str(error)
    except Exception as error:  # noqa: BLE001 - an unforeseen failure is a finding, not the end of the table
        where = traceback.extract_tb(error.__traceback__)[-1]
        held, said = False, f"unforeseen {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    return Tried(attack, held, said, time.monotonic() - started)
