"""Reading `pyproject.toml`: PEP 621, PEP 735, and the tables of poetry, flit, pdm, hatch, uv and
setuptools."""

import re
from typing import Any

from packaging.utils import canonicalize_name

from harness.environments.findings import Findings, about_other_things, about_tests
from harness.environments.poetry import read_poetry
from harness.environments.requirement_files import read_requirements
from harness.environments.tree import Tree

_COMPILING = ("maturin", "mesonpy", "scikit_build_core", "skbuild", "pybind11", "setuptools_rust")


def read_pyproject(tree: Tree, findings: Findings) -> None:
    """Add everything that `pyproject.toml` says about requirements, metadata, layout and building."""
    data = tree.toml("pyproject.toml")
    build = data.get("build-system", {})
    findings.build += [r for r in build.get("requires", []) if isinstance(r, str)]
    findings.backend = str(build.get("build-backend", ""))
    findings.backend_path += build.get("backend-path", [])
    findings.extension_modules |= findings.backend.split(".")[0] in _COMPILING
    _project(data.get("project", {}), findings)
    for group in data.get("dependency-groups", {}):
        findings.add_group(group, _expand(data["dependency-groups"], group, ()))
    _tools(data.get("tool", {}), tree, findings)


def _project(project: dict[str, Any], findings: Findings) -> None:
    findings.named(project.get("name"))
    findings.requires_python = findings.requires_python or str(project.get("requires-python", ""))
    findings.runtime += project.get("dependencies", [])
    for extra, requirements in project.get("optional-dependencies", {}).items():
        findings.add_group(extra, requirements, extra=True)
    findings.header("Summary", project.get("description"))
    license_ = project.get("license")
    findings.header("License-Expression" if isinstance(license_, str) else "License", _text(license_))
    findings.header("Keywords", ",".join(project.get("keywords", [])))
    for role in ("author", "maintainer"):
        people = project.get(f"{role}s", [])
        findings.header(role.title(), ", ".join(p["name"] for p in people if "name" in p and "email" not in p))
        mails = [f"{p['name']} <{p['email']}>" if "name" in p else p["email"] for p in people if "email" in p]
        findings.header(f"{role.title()}-email", ", ".join(mails))
    for label, url in project.get("urls", {}).items():
        findings.header("Project-URL", f"{label}, {url}")
    for classifier in project.get("classifiers", []):
        findings.header("Classifier", classifier)
    for group, key in (("console_scripts", "scripts"), ("gui_scripts", "gui-scripts")):
        if project.get(key):
            findings.entry_points.setdefault(group, {}).update(project[key])
    for group, table in project.get("entry-points", {}).items():
        findings.entry_points.setdefault(group, {}).update(table)


def _text(license_: object) -> object:
    return license_.get("text") if isinstance(license_, dict) else license_


def _expand(groups: dict[str, Any], name: str, above: tuple[str, ...]) -> list[str]:
    by_name = {canonicalize_name(group): members for group, members in groups.items()}
    found: list[str] = []
    for member in by_name.get(canonicalize_name(name), []):
        if isinstance(member, str):
            found.append(member)
        elif isinstance(member, dict) and member.get("include-group") not in (None, name, *above):
            found += _expand(groups, str(member["include-group"]), (*above, name))
    return found


def _tools(tool: dict[str, Any], tree: Tree, findings: Findings) -> None:
    if "poetry" in tool:
        read_poetry(tool["poetry"], findings)
    flit = tool.get("flit", {}).get("metadata", {})
    findings.runtime += flit.get("requires", [])
    findings.named(flit.get("dist-name", flit.get("module")))
    findings.requires_python = findings.requires_python or str(flit.get("requires-python", ""))
    for extra, requirements in flit.get("requires-extra", {}).items():
        findings.add_group(extra, requirements, extra=True)
    for group, requirements in tool.get("pdm", {}).get("dev-dependencies", {}).items():
        findings.add_group(group, [r for r in requirements if isinstance(r, str)])
    findings.add_group("dev", tool.get("uv", {}).get("dev-dependencies", []))
    _hatch(tool.get("hatch", {}), findings)
    _setuptools(tool.get("setuptools", {}), tree, findings)
    scm = tool.get("setuptools_scm", {})
    findings.version_files += [scm[k] for k in ("write_to", "version_file") if isinstance(scm.get(k), str)]
    pdm_version = tool.get("pdm", {}).get("version", {})
    if isinstance(pdm_version.get("write_to"), str):
        findings.version_files.append(f"src/{pdm_version['write_to']}")
    _tox(tool.get("tox", {}), findings)


def _hatch(hatch: dict[str, Any], findings: Findings) -> None:
    for name, environment in hatch.get("envs", {}).items():
        testing = name == "default" or (about_tests(name) and not about_other_things(name))
        for requirement in [*environment.get("dependencies", []), *environment.get("extra-dependencies", [])]:
            findings.install(requirement, testing=testing)
        if testing:
            findings.wanted.update(map(canonicalize_name, environment.get("features", [])))
            findings.wanted.update(map(canonicalize_name, environment.get("dependency-groups", [])))
    build = hatch.get("build", {})
    hook = build.get("hooks", {}).get("vcs", {})
    findings.version_files += [hook[key] for key in ("version-file",) if isinstance(hook.get(key), str)]
    for path in build.get("targets", {}).get("wheel", {}).get("packages", []):
        findings.roots.append(path.rpartition("/")[0])


def _setuptools(setuptools: dict[str, Any], tree: Tree, findings: Findings) -> None:
    if isinstance(setuptools.get("package-dir"), dict):
        findings.roots += [d for name, d in setuptools["package-dir"].items() if name == ""]
    packages = setuptools.get("packages")
    if isinstance(packages, dict):
        findings.roots += packages.get("find", {}).get("where", [])
    findings.modules += setuptools.get("py-modules", [])
    findings.extension_modules |= bool(setuptools.get("ext-modules"))
    dynamic = setuptools.get("dynamic", {})
    findings.runtime += _dynamic(dynamic.get("dependencies", {}), tree)
    for extra, table in dynamic.get("optional-dependencies", {}).items():
        findings.add_group(extra, _dynamic(table, tree), extra=True)


def _dynamic(table: object, tree: Tree) -> list[str]:
    files = table.get("file", []) if isinstance(table, dict) else []
    found: list[str] = []
    for path in [files] if isinstance(files, str) else files:
        found += read_requirements(tree, path).requirements
    return found


def _tox(tox: dict[str, Any], findings: Findings) -> None:
    environments = {"testenv": tox.get("env_run_base", {}), **tox.get("env", {})}
    for name, environment in environments.items():
        if not isinstance(environment, dict):
            continue
        testing = not about_other_things(name)
        for line in environment.get("deps", []):
            if isinstance(line, str) and not re.match(r"^-", line):
                findings.install(line, testing=testing)
        if testing:
            for key in ("extras", "dependency_groups"):
                findings.wanted.update(canonicalize_name(g) for g in environment.get(key, []) if isinstance(g, str))
