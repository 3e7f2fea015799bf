"""Hatch's table in `pyproject.toml`, or its `hatch.toml`: environments, version file, layout."""

from typing import Any

from packaging.utils import canonicalize_name

from runtime.environments.findings import Findings, about_other_things, about_tests
from runtime.environments.malformed import as_written, table, texts

_TEST_COMMAND = "hatch-test"
_OF_TEST_COMMAND = ("pytest-mock",)
"""What hatch installs for its `test` command unless the environment names its dependencies, less its tools."""


def read_hatch(hatch: dict[str, Any], findings: Findings) -> None:
    """Add a `[tool.hatch]` table."""
    environments = table(hatch, "envs")
    for name in environments:
        as_written(_environment, name, table(environments, name), findings)
    hook = table(hatch, "build", "hooks", "vcs")
    findings.version_files += [hook[key] for key in ("version-file",) if isinstance(hook.get(key), str)]
    for path in texts(table(hatch, "build", "targets", "wheel"), "packages"):
        findings.roots.append(path.rpartition("/")[0])


def _environment(name: str, environment: dict[str, Any], findings: Findings) -> None:
    runs = "pytest" in str(table(environment, "scripts"))
    testing = name == "default" or ((about_tests(name) or runs) and not about_other_things(name))
    for requirement in [*texts(environment, "dependencies"), *texts(environment, "extra-dependencies")]:
        findings.install(requirement, testing=testing)
    if testing:
        findings.wanted.update(map(canonicalize_name, texts(environment, "features")))
        findings.wanted.update(map(canonicalize_name, texts(environment, "dependency-groups")))
    if name == _TEST_COMMAND and "dependencies" not in environment:
        findings.tests += _OF_TEST_COMMAND
