"""Poetry's tables: version constraints converted to PEP 440, dependencies to PEP 508."""

import re
from typing import Any

from runtime.environments.findings import Findings
from runtime.environments.malformed import readable, table, texts


def constraint(text: str) -> str:
    """A poetry version constraint as a PEP 440 specifier set; "" for `*`.

    `^1.2` allows up to the next change of the leftmost non-zero number, `~1.2` up to the next minor release.
    An alternative (`a || b`) has no equivalent: its last branch, in practice the newest, is used.
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
    """A dependency of a poetry or Pipfile table as PEP 508 text; None if it is a path.

    A git or URL dependency becomes its bare name, because only wheels of an index are installed.
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


def _requirements(dependencies: dict[str, Any]) -> list[str]:
    """The dependencies of a table as PEP 508 texts, without the interpreter and those whose value is malformed."""
    read = (readable(requirement, None, name, value) for name, value in dependencies.items() if name != "python")
    return [text for text in read if text]


def read_poetry(poetry: dict[str, Any], findings: Findings) -> None:
    """Add a `[tool.poetry]` table."""
    findings.named(poetry.get("name"))
    dependencies = table(poetry, "dependencies")
    if isinstance(dependencies.get("python"), str):
        findings.required_python(readable(constraint, "", dependencies["python"]))
    optional = {n for n, v in dependencies.items() if isinstance(v, dict) and v.get("optional")}
    findings.runtime += _requirements({n: v for n, v in dependencies.items() if n not in optional})
    findings.mentioned += _requirements({n: v for n, v in dependencies.items() if n in optional})
    _groups(poetry, dependencies, findings)
    findings.header("Summary", poetry.get("description"))
    findings.header("License", poetry.get("license"))
    findings.enter("console_scripts", table(poetry, "scripts"))
    plugins = table(poetry, "plugins")
    for group in plugins:
        findings.enter(group, table(plugins, group))
    for package in poetry.get("packages", []):
        findings.roots.append(str(package.get("from", "")))


def _groups(poetry: dict[str, Any], dependencies: dict[str, Any], findings: Findings) -> None:
    extras = table(poetry, "extras")
    for extra in extras:
        named = {n: dependencies[n] for n in texts(extras, extra) if n in dependencies}
        findings.add_group(extra, _requirements(named), extra=True)
    findings.add_group("dev", _requirements(table(poetry, "dev-dependencies")))
    groups = table(poetry, "group")
    for group in groups:
        findings.add_group(group, _requirements(table(groups, group, "dependencies")))


def read_pipfile(pipfile: dict[str, Any], findings: Findings) -> None:
    """Add a parsed Pipfile: its packages are development requirements, because it never defines a distribution."""
    findings.tests += _requirements(table(pipfile, "packages"))
    findings.tests += _requirements(table(pipfile, "dev-packages"))
