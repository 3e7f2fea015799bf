"""A JavaScript repository's configuration of its test runner."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from runtime.testing.node_runner.scripts import package_json

_KEYS = ("scripts", "jest", "mocha", "vitest", "babel", "type", "c8", "nyc", "workspaces")
_FILES = re.compile(
    r"(?:[\w-]+[.-])?(?:vitest|vite|jest|babel|mocha)\.(?:[\w-]+\.)*(?:config|workspace|projects|shared)\.[cm]?[jt]s(?:on)?"
    r"|(?:vitest|jest|babel)\.[\w.-]*\.[cm]?[jt]s(?:on)?|\.mocharc(?:\.[\w]+)?|\.babelrc(?:\.[\w]+)?|\.swcrc|mocha\.opts"
    r"|\.npmrc|pnpm-workspace\.yaml"
)


def steers(path: str) -> bool:
    """Whether a file, at any depth, can configure a JavaScript test runner or stand in for an installed package."""
    pure = PurePosixPath(path)
    return pure.name == "package.json" or _FILES.fullmatch(pure.name) is not None or "node_modules" in pure.parts


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
