"""Reading `pyproject.toml`: PEP 621, PEP 735, and the tables of poetry, flit, pdm, hatch, uv and setuptools."""

from typing import Any

from packaging.utils import canonicalize_name

from runtime.environments.findings import Findings, about_other_things
from runtime.environments.hatch import read_hatch
from runtime.environments.malformed import as_written, readable, table, texts
from runtime.environments.poetry import read_poetry
from runtime.environments.requirement_files import read_requirements
from runtime.environments.tree import PathTree

_COMPILING = ("maturin", "mesonpy", "scikit_build_core", "skbuild", "pybind11", "setuptools_rust")


def read_pyproject(tree: PathTree, findings: Findings) -> None:
    """Add everything in `pyproject.toml` about requirements, metadata, layout and building."""
    data = tree.toml("pyproject.toml")
    as_written(_build, table(data, "build-system"), findings)
    as_written(_project, table(data, "project"), findings)
    groups = table(data, "dependency-groups")
    for group in groups:
        as_written(lambda name: findings.add_group(name, _expand(groups, name)), group)
    _tools(table(data, "tool"), tree, findings)


def _build(build: dict[str, Any], findings: Findings) -> None:
    findings.build += texts(build, "requires")
    findings.backend_path += texts(build, "backend-path")
    findings.backend = str(build.get("build-backend", ""))
    findings.extension_modules |= findings.backend.split(".")[0] in _COMPILING


def _project(project: dict[str, Any], findings: Findings) -> None:
    findings.named(project.get("name"))
    findings.required_python(project.get("requires-python"))
    findings.runtime += texts(project, "dependencies")
    optional = table(project, "optional-dependencies")
    for extra in optional:
        findings.add_group(extra, texts(optional, extra), extra=True)
    for group, key in (("console_scripts", "scripts"), ("gui_scripts", "gui-scripts")):
        findings.enter(group, table(project, key))
    points = table(project, "entry-points")
    for group in points:
        findings.enter(group, table(points, group))
    as_written(_headers, project, findings)


def _headers(project: dict[str, Any], findings: Findings) -> None:
    findings.header("Summary", project.get("description"))
    license_ = project.get("license")
    findings.header("License-Expression" if isinstance(license_, str) else "License", _text(license_))
    findings.header("Keywords", ",".join(texts(project, "keywords")))
    for role in ("author", "maintainer"):
        as_written(_people, role, project.get(f"{role}s", []), findings)
    for label, url in table(project, "urls").items():
        findings.header("Project-URL", f"{label}, {url}")
    for classifier in texts(project, "classifiers"):
        findings.header("Classifier", classifier)


def _people(role: str, people: list[dict[str, Any]], findings: Findings) -> None:
    findings.header(role.title(), ", ".join(p["name"] for p in people if "name" in p and "email" not in p))
    mails = [f"{p['name']} <{p['email']}>" if "name" in p else p["email"] for p in people if "email" in p]
    findings.header(f"{role.title()}-email", ", ".join(mails))


def _text(license_: object) -> object:
    return license_.get("text") if isinstance(license_, dict) else license_


def _expand(groups: dict[str, Any], name: str) -> list[str]:
    """The requirements of a dependency group and of the groups it includes, each group once."""
    by_name = {canonicalize_name(group): members for group, members in groups.items()}
    found: list[str] = []
    pending, seen = [canonicalize_name(name)], set[str]()
    while pending:
        group = pending.pop(0)
        seen.add(group)
        members = by_name.get(group, [])
        found += [each for each in members if isinstance(each, str)]
        included = [each.get("include-group") for each in members if isinstance(each, dict)]
        pending += {canonicalize_name(each) for each in included if isinstance(each, str)} - seen - set(pending)
    return found


def _tools(tool: dict[str, Any], tree: PathTree, findings: Findings) -> None:
    as_written(read_poetry, table(tool, "poetry"), findings)
    as_written(_flit, table(tool, "flit", "metadata"), findings)
    development = table(tool, "pdm", "dev-dependencies")
    for group in development:
        findings.add_group(group, texts(development, group))
    for name in ("uv", "rye"):
        findings.add_group("dev", texts(table(tool, name), "dev-dependencies"))
    groups = texts(table(tool, "uv"), "default-groups")
    findings.wanted.update(canonicalize_name(group) for group in groups if not about_other_things(group))
    as_written(read_hatch, table(tool, "hatch"), findings)
    as_written(read_hatch, tree.toml("hatch.toml"), findings)
    as_written(_setuptools, table(tool, "setuptools"), tree, findings)
    scm = table(tool, "setuptools_scm")
    findings.version_files += [scm[k] for k in ("write_to", "version_file") if isinstance(scm.get(k), str)]
    pdm_version = table(tool, "pdm", "version")
    if isinstance(pdm_version.get("write_to"), str):
        findings.version_files.append(f"src/{pdm_version['write_to']}")


def _flit(flit: dict[str, Any], findings: Findings) -> None:
    findings.named(flit.get("dist-name", flit.get("module")))
    findings.required_python(flit.get("requires-python"))
    findings.runtime += texts(flit, "requires")
    extras = table(flit, "requires-extra")
    for extra in extras:
        findings.add_group(extra, texts(extras, extra), extra=True)


def _setuptools(setuptools: dict[str, Any], tree: PathTree, findings: Findings) -> None:
    findings.roots += [d for name, d in table(setuptools, "package-dir").items() if name == ""]
    findings.roots += texts(table(setuptools, "packages", "find"), "where")
    findings.modules += texts(setuptools, "py-modules")
    findings.extension_modules |= bool(setuptools.get("ext-modules"))
    dynamic = table(setuptools, "dynamic")
    findings.runtime += readable(_dynamic, [], dynamic.get("dependencies"), tree)
    for extra, listed in table(dynamic, "optional-dependencies").items():
        findings.add_group(extra, readable(_dynamic, [], listed, tree), extra=True)


def _dynamic(listed: object, tree: PathTree) -> list[str]:
    files = listed.get("file", []) if isinstance(listed, dict) else []
    found: list[str] = []
    for path in [files] if isinstance(files, str) else files:
        found += read_requirements(tree, path).requirements
    return found
