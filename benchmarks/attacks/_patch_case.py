"""What a patch is, and the ways in which most of them are made."""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.attacks._subject import SIGN

Read = Callable[[str], str]
INIT, SHOW, SPAN_FILE, PROJECT = "src/spans/__init__.py", "src/spans/show.py", "src/spans/span.py", "pyproject.toml"


@dataclass(frozen=True)
class Case:
    """A patch. `files` gets a way to read the base's files and gives what the patch leaves."""

    name: str
    files: Callable[[Read], Mapping[str, str | None]]
    commit: str = SIGN
    residual: str = ""


def at_import(name: str, body: str, residual: str = "") -> Case:
    """A patch whose code runs when the package is imported."""
    code = textwrap.dedent(body)
    return Case(name, lambda read: {INIT: read(INIT) + "\n" + code}, residual=residual)


def when_called(name: str, body: str, residual: str = "") -> Case:
    """A patch whose code answers when `show` is called with what the base cannot do; `old` is the base's function."""
    code = "\n\nold = show\n\n\ndef show(seconds):\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"
    return Case(name, lambda read: {SHOW: read(SHOW) + code}, residual=residual)
