"""A JavaScript repository's configuration of its test runner."""

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from runtime.testing.node_runner.scripts import package_json

_KEYS = ("scripts", "jest", "mocha", "vitest", "babel", "type", "c8", "nyc", "workspaces")
_FILES = re.compile(
    r"(?:[\w-]+[.-])?(?:vitest|vite|jest|babel|mocha)\.(?:[\w-]+\.)*(?:config|workspace|projects|shared)\.[cm]?[jt]s(?:on)?"
    r"|(?:vitest|jest|babel)\.[\w.-]*\.[cm]?[jt]s(?:on)?|\.mocharc(?:\.[\w]+)?|\.babelrc(?:\.[\w]+)?|\.swcrc|mocha\.opts"
    r"|\.npmrc|pnpm-workspace\.yaml|[jt]sconfig(?:\.[\w.-]+)?\.json"
)
_NAMING = ("--config", "-c", "--workspace", "--projects", "--opts", "--package", "--preset", "--project", "--tsconfig")
"""Options of test runners, and of what compiles for them, whose values are files of configuration."""


def steers(path: str) -> bool:
    """Whether a file, at any depth, can configure a JavaScript test runner or stand in for an installed package."""
    pure = PurePosixPath(path)
    return pure.name == "package.json" or _FILES.fullmatch(pure.name) is not None or "node_modules" in pure.parts


def named_configuration(package: Mapping[str, Any], folder: str = "") -> frozenset[str]:
    """The paths that the scripts of a package.json in `folder` name as files of configuration."""
    table = package.get("scripts")
    found: set[str] = set()
    for text in table.values() if isinstance(table, dict) else ():
        words = _words(text) if isinstance(text, str) else []
        for word, following in zip(words, [*words[1:], ""], strict=True):
            option, assigned, value = word.partition("=")
            if option in _NAMING and (value if assigned else following):
                found.add(posixpath.normpath(posixpath.join(folder, value if assigned else following)))
    return frozenset(found)


def _words(script: str) -> list[str]:
    """The words of a script, operators of the shell by themselves."""
    lexer = shlex.shlex(script, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:  # an open quotation
        return script.split()


def steering(path: str, content: bytes | None) -> Any:
    """What a file says to the runner, comparable: of a package.json its scripts and the tables of runners.

    None for one that says nothing, as for one that is not there. One that does not parse counts with its whole text.
    """
    if content is None:
        return None
    if PurePosixPath(path).name == "package.json" and (data := package_json(lambda _: content)):
        return {key: data[key] for key in _KEYS if key in data} or None
    text = content.decode("utf-8", "surrogateescape")
    return None if PurePosixPath(path).name == "package.json" and "".join(text.split()) == "{}" else text


def runner_configuration(read: Callable[[str], bytes | None]) -> str:
    """Everything in a tree's root that steers it, as canonical text."""
    found: Mapping[str, Any] = {"package.json": steering("package.json", read("package.json"))}
    return json.dumps({name: value for name, value in found.items() if value}, sort_keys=True)
