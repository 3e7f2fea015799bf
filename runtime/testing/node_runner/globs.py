"""Patterns of files, as shells and test runners know them."""

import re
from collections.abc import Collection
from functools import lru_cache

_DEFAULT_NODE = re.compile(
    r"(?:.*/)?(?:[^/]*[.\-_]test|test-[^/]*|test)\.[cm]?[jt]s|(?:.*/)?test/.*\.[cm]?[jt]s", re.IGNORECASE
)
_CODE = re.compile(r".*\.[cm]?[jt]sx?")


def matching(patterns: Collection[str], paths: Collection[str]) -> list[str]:
    """The paths that one of the patterns names: itself, by wildcards, or as a folder above it."""
    wanted = [pattern.strip("'\"").removeprefix("./").rstrip("/") for pattern in patterns]
    return sorted(
        path
        for path in paths
        if any(path == each or compiled(each).fullmatch(path) for each in wanted)
        or (_CODE.fullmatch(path) and any(path.startswith(f"{each}/") for each in wanted))
    )


def default_node_tests(paths: Collection[str]) -> list[str]:
    """The paths that `node --test` takes for tests where none are named."""
    return sorted(path for path in paths if _DEFAULT_NODE.fullmatch(path) and "node_modules" not in path.split("/"))


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with `*`, `**`, `?`, `{a,b}`, `@(a|b)` and `[...]` as a regular expression."""
    found, depth, at = "", 0, 0
    while at < len(pattern):
        char, rest = pattern[at], pattern[at:]
        if rest.startswith("**/"):
            found, at = found + r"(?:[^/]+/)*", at + 3
            continue
        if rest.startswith("**"):
            found, at = found + ".*", at + 2
            continue
        if char in "@+?" and rest[1:2] == "(":
            found, depth, at = found + "(?:", depth + 1, at + 2
            continue
        if char == "{" or (char in ")}" and depth):
            found, depth = found + ("(?:" if char == "{" else ")"), depth + (1 if char == "{" else -1)
        elif char in ",|" and depth:
            found += "|"
        elif char == "[" and "]" in rest:
            end = rest.index("]")
            inner = re.sub(r"([\\\[&~|])", r"\\\1", rest[1:end])
            found, at = found + "[" + (f"^{inner[1:]}" if inner.startswith("!") else inner) + "]", at + end
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
        at += 1
    try:
        return re.compile(found + ")" * depth)
    except re.error:
        return re.compile(re.escape(pattern))
