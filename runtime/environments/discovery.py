"""Requirements of a commit's tests, read without running any of its code."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from repos.git import Git
from runtime.environments import layout, pins
from runtime.environments.cleaning import clean, generated_paths
from runtime.environments.findings import Findings, about_other_things, about_tests, canonical, parse
from runtime.environments.imports import distributions, imported_by_documents, imported_modules
from runtime.environments.malformed import as_written
from runtime.environments.naming import NAMING, name_by_imports, read_other_names
from runtime.environments.nox import read_nox
from runtime.environments.plugins import read_plugins
from runtime.environments.poetry import read_pipfile
from runtime.environments.pyproject import read_pyproject
from runtime.environments.requirement_files import read_requirement_files
from runtime.environments.setuptools_files import read_setup_cfg, read_setup_py
from runtime.environments.tox import read_tox
from runtime.environments.tree import PathTree, is_test
from runtime.testing import PYTEST

_DOCUMENTS = (".md", ".rst")
_READ = (".py", ".toml", ".cfg", ".ini", ".txt", ".in", ".lock", "Pipfile", *NAMING, *_DOCUMENTS)
# Tools in development groups that tests need only if they import them.
_TOOLS = {
    "autoflake", "bandit", "basedpyright", "black", "build", "bump-my-version", "bump2version", "bumpversion",
    "bumpver", "check-manifest", "check-wheel-contents", "codecov", "codespell", "cogapp",
    "coverage-enable-subprocess", "commitizen", "coveralls", "cruft", "doc8", "flake8", "flit", "furo",
    "gitlint", "hatch", "interrogate", "ipdb", "ipython", "isort", "jupyter", "jupyterlab", "mkdocs",
    "mkdocs-material", "mypy", "myst-parser", "nox", "pdbpp", "pip-audit", "pip-tools", "poethepoet",
    "pre-commit", "prek", "pydocstyle", "pylint", "pyre-check", "pyrefly", "pyright", "pytest-codspeed",
    "pytest-randomly", "pytest-random-order", "pyupgrade", "readme", "readme-renderer", "ruff", "safety", "semgrep",
    "sphinx", "tbump", "towncrier", "tox", "tox-uv", "tox-uv-bare", "twine", "ty", "uv", "vulture",
    "watchfiles", "yapf", "zest-releaser",
}  # fmt: skip


@dataclass(frozen=True)
class Project:
    """Metadata of one commit's distribution.

    `requires` are the requirements of its code and tests, `build_requires` those of building it as its packaging files
    state them, `constraints` the exact versions of its own lock, `generated` version modules that only a build would
    write; it `needs_build` if it has extension modules. `headers` and
    `entry_points` are for its distribution's metadata; roots and paths are relative to the repository. `aliases` are
    further names (normalised) of its distribution, `modules` what can be imported from its tree, by dotted name.
    """

    name: str
    requires_python: str
    requires: tuple[str, ...]
    constraints: tuple[str, ...]
    import_roots: tuple[str, ...]
    import_names: tuple[str, ...]
    needs_build: bool
    build_backend: str
    backend_path: tuple[str, ...]
    test_command: tuple[str, ...]
    runtime: tuple[str, ...]
    extras: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    entry_points: tuple[tuple[str, str, str], ...]  # group, name, target
    generated: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    build_requires: tuple[str, ...] = ()
    namespaces: tuple[tuple[str, str], ...] = ()


def discover_commit(git: Git, commit: str) -> Project:
    """`discover`, with the files of a commit read from git at once."""
    regular = [entry for entry in git.tree(commit) if entry.mode in ("100644", "100755")]
    wanted = {e.path: e.blob for e in regular if e.path.endswith(_READ)}
    contents = git.blobs(sorted(set(wanted.values())))
    return discover(lambda path: contents[wanted[path]] if path in wanted else None, [e.path for e in regular])


def discover(read: Callable[[str], bytes | None], paths: Sequence[str], *, with_requirements: bool = True) -> Project:
    """Read a commit's packaging files, test runner files, locks and imports. `read` gives a file's bytes or None.

    Distributions that tests import are added when any requirement source names them, because a missing optional
    dependency makes tests skip silently. Malformed files and requirements that no index could satisfy (paths, URLs) are
    ignored. Without requirements (`requires` is then empty) no source file is parsed: enough to run tests in an
    existing environment.
    """
    tree = PathTree(read, sorted(paths))
    findings = Findings()
    for reader in (read_pyproject, read_setup_cfg, read_setup_py, *(_REQUIREMENTS if with_requirements else ())):
        as_written(reader, tree, findings)
    clean(findings)
    roots = layout.import_roots(tree, findings)
    builds = layout.needs_build(tree, findings)
    names = layout.import_names(tree, findings, roots)
    read_other_names(tree, findings)
    own = findings.name or name_by_imports(tree, names)
    findings.name = own
    aliases = tuple(sorted(set(findings.aliases) - {own}))
    return Project(
        name=own,
        requires_python=_specifier(findings.requires_python),
        requires=_required(tree, findings) if with_requirements else (),
        constraints=pins.unambiguous(findings),
        import_roots=roots,
        import_names=names,
        needs_build=builds,
        build_backend=findings.backend,
        backend_path=tuple(findings.backend_path),
        test_command=PYTEST.command,
        runtime=_spelled(_parsed(findings.runtime), own),
        extras=tuple(sorted(findings.extras)),
        headers=tuple(findings.headers),
        entry_points=tuple(
            sorted((group, name, target) for group, t in findings.entry_points.items() for name, target in t.items())
        ),
        generated=generated_paths(findings.version_files, set(tree.paths)),
        aliases=aliases,
        modules=layout.provided_modules(tree, roots, names),
        namespaces=layout.shared_namespaces(tree, roots),
        build_requires=_spelled(_parsed(findings.build), own),
    )


_REQUIREMENTS = (
    lambda tree, findings: read_pipfile(tree.toml("Pipfile"), findings),
    read_tox,
    read_nox,
    read_requirement_files,
    read_plugins,
    pins.read_locks,
)
"""Readers of files that give requirements only: other tools' files, runners, lists and locks."""


def _specifier(text: str) -> str:
    try:
        return str(SpecifierSet(text))
    except ValueError:  # also for a number that is too long
        return ""


def _parsed(texts: Iterable[str]) -> list[Requirement]:
    return [requirement for text in texts if (requirement := parse(text))]


def _spelled(requirements: Iterable[Requirement], own: str) -> tuple[str, ...]:
    return tuple(sorted({canonical(r) for r in requirements if canonicalize_name(r.name) != own}))


def _required(tree: PathTree, findings: Findings) -> tuple[str, ...]:
    read_other_names(tree, findings)
    own = findings.name
    groups = {name: _parsed(texts) for name, texts in findings.groups.items()}
    wanted = findings.wanted | {g for g in groups if about_tests(g) and not about_other_things(g)}
    runtime = _resolved(_parsed(findings.runtime), groups, own)
    tests = _resolved([*_parsed(findings.tests), *_members(wanted, groups)], groups, own)
    selected = [*runtime, *(r for r in tests if not _tool(canonicalize_name(r.name)))]
    selected += _parsed(findings.plugins)  # tools included: the runner refuses to start without them
    selected += _imported(tree, findings, selected)
    if "pytest" not in {canonicalize_name(r.name) for r in selected}:
        selected.append(Requirement("pytest"))
    return _spelled(selected, own)


def _tool(name: str) -> bool:
    return name in _TOOLS or name.startswith(("flake8", "sphinx", "mkdocs", "pylint-", "types-"))


def _members(names: Iterable[str], groups: dict[str, list[Requirement]]) -> list[Requirement]:
    return [requirement for name in sorted(names) for requirement in groups.get(name, [])]


def _resolved(requirements: list[Requirement], groups: dict[str, list[Requirement]], own: str) -> list[Requirement]:
    """Requirements with `own[extra]` replaced by the requirements of the extra, recursively."""
    found: list[Requirement] = []
    pending, seen = list(requirements), set[str]()
    while pending:
        requirement = pending.pop(0)
        if canonicalize_name(requirement.name) != own:
            found.append(requirement)
            continue
        extras = {canonicalize_name(extra) for extra in requirement.extras} - seen
        seen |= extras
        pending += _members(extras, groups)
    return found


def _imported(tree: PathTree, findings: Findings, selected: list[Requirement]) -> list[Requirement]:
    sources = [tree.text(path) for path in tree.paths if path.endswith(".py") and _matters(path)]
    modules = imported_modules(sources)
    if _tests_documents(tree):
        modules |= imported_by_documents(tree.text(path) for path in tree.paths if path.endswith(_DOCUMENTS))
    every = [
        *findings.mentioned,
        *findings.tests,
        *findings.build,
        *(t for g in findings.groups.values() for t in g),
    ]
    offered: dict[str, list[Requirement]] = {}
    for requirement in _parsed(every):
        offered.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    missing = set(offered) - {canonicalize_name(r.name) for r in selected} - {findings.name}
    found = []
    for name in sorted(distributions(modules, missing)):
        spellings = {canonical(r) for r in offered[name]}
        # Sources disagree for reasons of their own (oldest and newest supported): the date decides.
        found.append(offered[name][0] if len(spellings) == 1 else Requirement(name))
    return found


def _tests_documents(tree: PathTree) -> bool:
    """Whether doctests in documentation are collected."""
    configuration = "".join(tree.text(path) for path in ("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini"))
    return any(word in configuration for word in ("sybil", "--doctest-glob", "--markdown-docs", "pytest-examples"))


def _matters(path: str) -> bool:
    first = path.split("/")[0]
    return is_test(path) or first not in (
        "docs",
        "doc",
        "examples",
        "setup.py",
        "noxfile.py",
        "tasks.py",
        "bench",
        "benchmarks",
    )
