"""The spellings in which public data sets hold an instance, brought to SWE-bench's names and types.

Known are the fields of SWE-bench and what was made after it: other names (`fail_to_pass`, `F2P`, `FAIL2PASS`,
`gold_patch`), lists as JSON or Python text, as arrays, by lines or commas, and dictionaries of tests as in
Multi-SWE-bench. What is absent stays absent: nothing is made up for it.
"""

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "instance_id": ("instance_id", "id", "task_id"),
    "repo": ("repo", "repo_name", "repository", "repo_full_name", "full_name"),
    "base_commit": (
        "base_commit", "base_sha", "base_commit_sha", "base_commit_hash", "parent_commit", "parent_sha", "parent_hash",
        "parent", "base",
    ),
    "patch": ("patch", "gold_patch", "golden_patch", "fix_patch", "code_patch", "source_patch"),
    "test_patch": ("test_patch", "tests_patch", "gold_test_patch", "golden_test_patch"),
    "problem_statement": ("problem_statement", "issue_text", "task_description", "resolved_issues"),
    "hints_text": ("hints_text", "hints", "hint_text"),
    "created_at": ("created_at", "created", "commit_date", "date"),
    "version": ("version",),
    "FAIL_TO_PASS": ("FAIL_TO_PASS", "fail2pass", "f2p", "f2p_tests", "fail_to_pass_tests", "tests_fail_to_pass"),
    "PASS_TO_PASS": ("PASS_TO_PASS", "pass2pass", "p2p", "p2p_tests", "pass_to_pass_tests", "tests_pass_to_pass"),
    "environment_setup_commit": ("environment_setup_commit", "env_setup_commit", "setup_commit"),
}  # fmt: skip
"""Names of each field, the preferred one first; case and punctuation do not matter."""
LISTS = ("FAIL_TO_PASS", "PASS_TO_PASS")
_TEXTS = ("patch", "test_patch", "problem_statement", "hints_text")
"""Fields in which any text is one, "none" as well."""
_ALSO_FIXED = ("s2p_tests", "n2p_tests")
"""Tests that were skipped or missing before and pass after, beside Multi-SWE-bench's `f2p_tests`."""
_WRAPPERS = ("row", "instance", "responses_create_params", "metadata", "instance_dict", "extra_info")
_ABSENT = ("", "nan", "none", "null", "n/a", "<na>", "nat")
_TEXT = r"""[uUrR]?(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
_LITERAL = re.compile(rf"np\.str_\(({_TEXT})\)|({_TEXT})", re.DOTALL)
_COLUMNS = ("name", "names", "test", "tests", "test_name")
_MOST_SECONDS = 253_402_300_799  # the end of the year 9999


class BadField(ValueError):
    """A field of a row that cannot be read."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field {field}: {problem}")


def normalised(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row under SWE-bench's names, those that are absent or null left out.

    Raises BadField, which names the field as the row does.
    """
    row = _unwrapped(row)
    known = {_plain(name): name for name in sorted(row, key=lambda name: not _absent(row[name]))}
    found: dict[str, Any] = {}
    for field, spellings in SPELLINGS.items():
        for spelling in spellings:
            name = known.get(_plain(spelling))
            if name is None or _absent(row[name], any_text=field in _TEXTS):
                continue
            value = _read(field, name, row[name])
            if field == "base_commit" and spelling != field and not re.fullmatch("[0-9a-f]{7,64}", str(value)):
                continue
            found[field] = value
            break
    _from_multi_swe(row, known, found)
    return found


def _unwrapped(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with the fields of what wraps them, as JSON text or an object, as far as it has not its own."""
    merged = dict(row)
    own = {_plain(name) for name, value in row.items() if not _absent(value)}
    waiting = [] if own & {_plain(name) for field in LISTS for name in SPELLINGS[field]} else [row]
    while waiting:
        outer = waiting.pop()
        for key in _WRAPPERS:
            inner = outer.get(key)
            if isinstance(inner, str) and inner.lstrip().startswith("{"):
                try:
                    inner = json.loads(inner)
                except (ValueError, RecursionError):
                    continue
            if isinstance(inner, Mapping):
                waiting.append(inner)
                merged = {**inner, **{name: value for name, value in merged.items() if not _absent(value)}}
    return merged


def _from_multi_swe(row: Mapping[str, Any], known: Mapping[str, str], found: dict[str, Any]) -> None:
    """What Multi-SWE-bench divides over several fields: the repository's name, the tests that a change fixes."""
    org, repo, number = row.get("org"), found.get("repo"), row.get("number")
    if isinstance(org, str) and org and isinstance(repo, str) and "/" not in repo:
        found["repo"] = f"{org}/{repo}"
        if "instance_id" not in found and isinstance(number, int | str) and number:
            found["instance_id"] = f"{org}__{repo}-{number}"
    if _plain("f2p_tests") in known and isinstance(found.get("FAIL_TO_PASS"), list):
        more = [test for name in _ALSO_FIXED if not _absent(row.get(name)) for test in listed_tests(name, row[name])]
        found["FAIL_TO_PASS"] = list(dict.fromkeys([*found["FAIL_TO_PASS"], *more]))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def _absent(value: object, *, any_text: bool = False) -> bool:
    """Whether a value means none: null, not-a-number, or (unless `any_text`) a text that a table has for those."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return not any_text and isinstance(value, str) and value.strip().lower() in _ABSENT


def _read(field: str, name: str, value: Any) -> Any:
    if field in LISTS:
        return listed_tests(name, value)
    if field == "created_at":
        return iso_time(name, value)
    if field == "base_commit" and isinstance(value, Mapping):
        value = value.get("sha")
    if field in ("base_commit", "environment_setup_commit") and isinstance(value, str):
        return value.strip().lower()
    if field == "problem_statement" and isinstance(value, list | tuple | Mapping):
        return _issues(name, value)
    if field == "hints_text" and isinstance(value, list | tuple):
        return "\n".join(str(each) for each in value)
    if field in ("version", "instance_id") and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def listed_tests(name: str, value: Any) -> list[Any]:
    """The tests in a field: a list, a text that holds one, or a dictionary by test. Raises BadField."""
    if hasattr(value, "tolist"):  # an array of numpy or arrow
        value = value.tolist()
    if isinstance(value, str):
        value = _in_text(name, value.strip())
    if isinstance(value, Mapping):
        value = _in_mapping(name, value)
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if not isinstance(value, list | tuple):
        raise BadField(name, f"is no list of tests but a {type(value).__name__}")
    return list(value)


def _in_text(name: str, text: str) -> Any:
    """The list that a text holds: as JSON, as Python or numpy print it, by lines, or by commas."""
    if text.startswith(("[", "{", '"', "(", "array(")):
        try:
            value = json.loads(text)
        except RecursionError as error:
            raise BadField(name, "is nested too deeply to be a list of tests") from error
        except ValueError:
            return _printed(name, text)
        return _in_text(name, value.strip()) if isinstance(value, str) else value
    parts = text.splitlines() if "\n" in text else _by_commas(text)
    return [part.strip() for part in parts if part.strip()]


def _printed(name: str, text: str) -> Any:
    """A list as Python or numpy print it: texts in quotes, numpy's without commas between them; or a dictionary."""
    if text.startswith("{"):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise BadField(name, f"is no dictionary of tests in JSON or Python: {text[:60]!r}") from error
    inner = re.sub(r",\s*dtype=[\w'<>]+\s*\)$", ")", text).removeprefix("array(").strip()
    inner = inner.removesuffix(")") if text.startswith("array(") else inner
    inner = inner.strip()
    if len(inner) < 2 or inner[0] + inner[-1] not in ("[]", "()"):
        raise BadField(name, f"is no list of tests in JSON or Python: {text[:60]!r}")
    found, position, end = [], 1, len(inner) - 1
    while position < end:
        if inner[position] in " \t\r\n,":
            position += 1
            continue
        literal = _LITERAL.match(inner, position, end)
        if literal is None:
            what = "is cut off ('...')" if inner.startswith("...", position) else "is no list of tests"
            raise BadField(name, f"{what} at {inner[position : position + 40]!r}")
        try:
            found.append(ast.literal_eval(literal[1] or literal[2]))
        except (ValueError, SyntaxError) as error:
            raise BadField(name, f"is no list of tests at {literal[0][:40]!r}") from error
        position = literal.end()
    return found


def _by_commas(text: str) -> Iterable[str]:
    """The parts of a text between its commas, except those inside brackets: parameters of tests have some as well."""
    depth, start = 0, 0
    for position, char in enumerate(text):
        if char in "[({":
            depth += 1
        elif char in "])}":
            depth = max(0, depth - 1)
        elif char == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _in_mapping(name: str, value: Mapping[str, Any]) -> list[str]:
    """The tests of a dictionary: its keys, or a column of it; a null is a test of another row of a table."""
    for column in _COLUMNS:
        listed = value.get(column)
        if isinstance(listed, list | tuple):
            return list(listed)
    if not all(each is None or isinstance(each, Mapping) for each in value.values()):
        raise BadField(name, "is a dictionary, but not of tests with their results")
    return [test for test, result in value.items() if result is not None]


def _issues(name: str, value: Any) -> str:
    """The text of the resolved issues, as a list of objects or an object of lists."""
    if isinstance(value, Mapping) and any(isinstance(each, list) for each in value.values()):
        titles, bodies = value.get("title") or [], value.get("body") or []
        value = [{"title": title, "body": body} for title, body in zip(titles, bodies, strict=False)]
    parts = [
        each if isinstance(each, str) else _issue(each) for each in (value if isinstance(value, list) else [value])
    ]
    text = "\n\n".join(part for part in parts if part)
    if not text:
        raise BadField(name, "holds no text of an issue")
    return text


def _issue(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    return "\n".join(str(value[key]) for key in ("title", "body") if value.get(key))


def iso_time(name: str, value: Any) -> str:
    """A time in ISO 8601: texts stay; seconds, milli-, micro- or nanoseconds since 1970 are converted.

    Raises BadField.
    """
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and not re.fullmatch(r"\s*-?\d{9,19}(\.\d+)?\s*", value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadField(name, f"is no time but a {type(value).__name__}")
    seconds = float(value)
    for _ in range(3):
        if abs(seconds) > _MOST_SECONDS / 2.5:  # beyond the year 5000: a finer unit
            seconds /= 1000
    if not 0 <= seconds <= _MOST_SECONDS:
        raise BadField(name, f"{value!r} is no time since 1970 in seconds or milliseconds")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
