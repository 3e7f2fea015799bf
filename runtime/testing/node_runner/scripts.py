"""Which test runner a package's scripts start, and with which options."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

VITEST, JEST, MOCHA, NODE_TEST = "vitest", "jest", "mocha", "node-test"
FRAMEWORKS = (VITEST, JEST, MOCHA, NODE_TEST)
_SCRIPTS = (
    "test", "test:unit", "test-unit", "unit", "unit-test", "test:node", "test-node", "test:run", "test:ci", "test:js",
    "tests-only", "test:only", "test:all", "test-only", "tests", "vitest", "jest", "mocha",
)  # fmt: skip
_DEPENDENCIES = ("dependencies", "devDependencies")
_SEPARATOR = re.compile(r"&&|\|\||;|\||\n|(?<!&)&(?!&)")
_RUNS = re.compile(r"^(?:npm|pnpm|yarn|bun)$")
_ASSIGNMENT = re.compile(r"(?!PATH=|HOME=|LD_|NODE_PATH=)[A-Z][A-Z0-9_]*=[^\0]*")
_OF_FILE = re.compile(r"(?:^|/)(?:(vitest)(?:\.mjs)?|(jest)(?:\.js)?|_?(mocha)(?:\.js|\.cjs)?)$")
_DEPTH = 5


@dataclass(frozen=True)
class Script:
    """A call of a test runner: its name, the words after it, variables, and options of node itself."""

    framework: str
    words: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    node_options: tuple[str, ...] = ()


def find_script(package: Mapping[str, Any]) -> Script | None:
    """The call of a test runner in a package.json: from its script `test` on, else from others of usual names, else by
    what it depends on. None if it has none of those known here."""
    table = package.get("scripts")
    scripts = {str(k): v for k, v in table.items() if isinstance(v, str)} if isinstance(table, dict) else {}
    for name in _SCRIPTS:
        for words in _calls(scripts, name, _DEPTH):
            if (found := _script(words)) is not None:
                return found
    listed = {name for section in _DEPENDENCIES if isinstance(package.get(section), dict) for name in package[section]}
    return next((Script(name) for name in (VITEST, JEST, MOCHA) if name in listed), None)


def _calls(scripts: Mapping[str, str], name: str, depth: int) -> Iterator[list[str]]:
    """The calls of a script in order, those of scripts that it runs in their places."""
    if name not in scripts or depth == 0:
        return
    for part in _SEPARATOR.split(scripts[name]):
        try:
            words = shlex.split(part)
        except ValueError:
            continue
        if (other := _runs_script(words, scripts)) is not None:
            yield from _calls(scripts, other, depth - 1)
        elif any(word in ("run-s", "run-p", "npm-run-all") for word in words[:1]):
            for word in words[1:]:
                yield from _calls(scripts, word, depth - 1)
        elif words:
            yield words


def _runs_script(words: list[str], scripts: Mapping[str, str]) -> str | None:
    while (words and _ASSIGNMENT.fullmatch(words[0])) or words[:1] == ["cross-env"]:
        words = words[1:]
    if len(words) < 2 or not _RUNS.match(words[0]):
        return None
    rest = [word for word in words[1:] if not word.startswith("-") and word not in ("run", "run-script", "exec")]
    return rest[0] if rest and rest[0] in scripts else None


def _script(words: list[str]) -> Script | None:
    """The call of a known runner in some words: `cross-env A=1 c8 mocha -r x test`, `node --test`, `tsx --test`."""
    variables = tuple(word for word in words if _ASSIGNMENT.fullmatch(word))
    for index, word in enumerate(words):
        if (match := _OF_FILE.search(word)) and not (index and words[index - 1] in ("-g", "--grep", "-t", "--project")):
            name = next(filter(None, match.groups()))
            options = _after_node(words[:index])
            return Script(name, tuple(words[index + 1 :]), variables, options)
        name = PurePosixPath(word).name
        if name in ("node", "tsx") and "--test" in words[index + 1 :]:
            rest = tuple(each for each in words[index + 1 :] if each != "--test")
            return Script(NODE_TEST, (("--import", "tsx", *rest) if name == "tsx" else rest), variables)
    return None


def _after_node(words: list[str]) -> tuple[str, ...]:
    """Options between `node` and the script that it runs."""
    if "node" not in words:
        return ()
    return tuple(word for word in words[words.index("node") + 1 :] if word.startswith("-"))


def package_json(read: Callable[[str], bytes | None], folder: str = "") -> dict[str, Any]:
    """A package.json as an object; empty if it is missing or no object."""
    raw = read(f"{folder}/package.json" if folder else "package.json")
    try:
        data = json.loads(raw) if raw is not None else {}
    except (ValueError, RecursionError):
        data = {}
    return data if isinstance(data, dict) else {}
