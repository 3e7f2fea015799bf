"""Poetry's tables: its version constraints in terms of PEP 440, its dependencies in terms of PEP 508."""

import re
from typing import Any

from harness.environments.findings import Findings


def constraint(text: str) -> str:
    """A poetry version constraint as a PEP 440 specifier set; "" for `*`.

    `^1.2` allows up to the next change of the leftmost non-zero number, `~1.2` up to the next minor release.
    An alternative (`a || b`) has no equivalent: its last branch, the newest in practice, is taken.
    """
    text = text.split("||")[-1].strip()
    parts = [part for part in re.split(r"\s*,\s*|(?<=[\w*])\s+(?=[<>=!~^])", text) if part]
    return ",".join(filter(None, (_one(part.strip()) for part in parts)))


def _one(text: str) -> str:
    if text in ("*", ""):
        return ""
    if text[0] == "^":
        return _between(text[1:].strip(), caret=True)
    if text[0] == "~" and not text.startswith("~="):
        return _between(text[1:].strip(), caret=False)
    if re.match(r"^\d", text):
        return f"=={text}"
    return re.sub(r"^=(?!=)", "==", text.replace(" ", ""))


def _between(version: str, *, caret: bool) -> str:
    release = [int(number) for number in re.match(r"\d*(?:\.\d+)*", version).group().split(".") if number]  # type: ignore[union-attr]
    if not release:
        return ""
    if caret:
        significant = next((i for i, number in enumerate(release) if number), len(release) - 1)
    else:
        significant = min(1, len(release) - 1)
    upper = [*release[:significant], release[significant] + 1]
    return f">={version},<{'.'.join(map(str, upper))}"


def _marker(python: str) -> str:
    specifiers = constraint(python).split(",") if constraint(python) else []
    clauses = []
    for specifier in specifiers:
        match = re.match(r"^(<=|>=|==|!=|<|>)\s*([\d.]+?)(?:\.\*)?$", specifier)
        if match:
            name = "python_full_version" if match.group(2).count(".") > 1 else "python_version"
            clauses.append(f"{name} {match.group(1)} '{match.group(2)}'")
    return " and ".join(clauses)


def requirement(name: str, value: Any) -> str | None:
    """A dependency of a poetry or Pipfile table as PEP 508 text; None if it lies at a path.

    A git or URL dependency becomes its bare name, for only wheels of an index are installed.
    """
    if isinstance(value, list):
        value = value[-1] if value else "*"
    if isinstance(value, str):
        return f"{name}{constraint(value)}"
    if not isinstance(value, dict) or "path" in value:
        return None
    extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
    markers = [str(value["markers"])] if value.get("markers") else []
    if value.get("python") and _marker(str(value["python"])):
        markers.append(_marker(str(value["python"])))
    text = f"{name}{extras}{constraint(str(value.get('version', '*')))}"
    return f"{text} ; {' and '.join(f'({m})' for m in markers)}" if markers else text


def _table(table: dict[str, Any]) -> list[str]:
    return [text for name, value in table.items() if name != "python" and (text := requirement(name, value))]


def read_poetry(poetry: dict[str, Any], findings: Findings) -> None:
    """Add a `[tool.poetry]` table."""
    findings.named(poetry.get("name"))
    dependencies: dict[str, Any] = poetry.get("dependencies", {})
    if isinstance(dependencies.get("python"), str) and not findings.requires_python:
        findings.requires_python = constraint(dependencies["python"])
    optional = {n for n, v in dependencies.items() if isinstance(v, dict) and v.get("optional")}
    findings.runtime += _table({n: v for n, v in dependencies.items() if n not in optional})
    findings.mentioned += _table({n: v for n, v in dependencies.items() if n in optional})
    for extra, members in poetry.get("extras", {}).items():
        findings.add_group(extra, _table({n: dependencies[n] for n in members if n in dependencies}), extra=True)
    findings.add_group("dev", _table(poetry.get("dev-dependencies", {})))
    for group, table in poetry.get("group", {}).items():
        findings.add_group(group, _table(table.get("dependencies", {})))
    findings.header("Summary", poetry.get("description"))
    findings.header("License", poetry.get("license"))
    if poetry.get("scripts"):
        scripts = {k: v for k, v in poetry["scripts"].items() if isinstance(v, str)}
        findings.entry_points.setdefault("console_scripts", {}).update(scripts)
    for group, table in poetry.get("plugins", {}).items():
        findings.entry_points.setdefault(group, {}).update(table)
    for package in poetry.get("packages", []):
        findings.roots.append(str(package.get("from", "")))


def read_pipfile(pipfile: dict[str, Any], findings: Findings) -> None:
    """Add a parsed Pipfile: its packages are what development needs, for it never defines a distribution."""
    findings.tests += _table(pipfile.get("packages", {}))
    findings.tests += _table(pipfile.get("dev-packages", {}))
