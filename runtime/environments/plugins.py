"""Distributions of the plugins that a repository's configuration of pytest cannot do without."""

from packaging.utils import canonicalize_name

from repos.pytest_options import loaded_plugins, pytest_options
from runtime.environments.findings import Findings, parse
from runtime.environments.tree import PathTree

_DISTRIBUTIONS = {
    "aiohttp": "pytest-aiohttp", "anyio": "anyio", "asyncio": "pytest-asyncio", "benchmark": "pytest-benchmark",
    "django": "pytest-django", "faker": "faker", "flask": "pytest-flask", "freezegun": "pytest-freezegun",
    "hypothesispytest": "hypothesis", "_hypothesis_pytestplugin": "hypothesis", "pytest_asyncio": "pytest-asyncio",
    "pytest_cov": "pytest-cov", "pytest_mock": "pytest-mock", "qt": "pytest-qt", "random_order": "pytest-random-order",
    "pytest-qt": "pytest-qt", "randomly": "pytest-randomly", "recording": "pytest-recording", "regtest":
    "pytest-regtest", "repeat": "pytest-repeat", "rerunfailures": "pytest-rerunfailures", "pytest_snapshot":
    "pytest-snapshot", "socket": "pytest-socket", "sugar": "pytest-sugar", "syrupy": "syrupy", "timeout":
    "pytest-timeout", "trio": "pytest-trio", "xdist": "pytest-xdist", "xdist.plugin": "pytest-xdist",
}  # fmt: skip
"""Distributions by the names under which they register plugins."""


def read_plugins(tree: PathTree, findings: Findings) -> None:
    """Add `required_plugins` with their versions, and the distributions of plugins that `addopts` load by `-p`."""
    options = pytest_options(tree.read_bytes)
    findings.plugins += [text for text in options.get("required_plugins", []) if parse(text)]
    sources = [*findings.tests, *findings.mentioned, *(text for group in findings.groups.values() for text in group)]
    declared = {str(canonicalize_name(found.name)): text for text in sources if (found := parse(text))}
    for plugin in loaded_plugins(options):
        if _is_own(plugin, tree):
            continue
        likely = (_DISTRIBUTIONS.get(plugin, ""), plugin, f"pytest-{plugin}", plugin.partition(".")[0])
        names = [str(canonicalize_name(name)) for name in likely if name]
        if name := next((each for each in names if each in declared), ""):
            findings.plugins.append(declared[name])
        elif plugin in _DISTRIBUTIONS:
            findings.plugins.append(_DISTRIBUTIONS[plugin])


def _is_own(plugin: str, tree: PathTree) -> bool:
    """Whether a plugin is a module of the tree."""
    path = plugin.replace(".", "/")
    places = {
        f"{root}{path}{end}" for root in ("", "src/", "lib/", "tests/", "test/") for end in (".py", "/__init__.py")
    }
    return not places.isdisjoint(tree.paths)
