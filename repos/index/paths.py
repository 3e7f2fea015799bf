"""Classification of files by path: production code, test code, documentation, or CI."""

import re
from functools import cache
from pathlib import PurePosixPath
from typing import Literal

PathKind = Literal["production", "test", "other"]

PYTHON = (".py", ".pyi")
SCRIPT = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_TEST_FOLDER = re.compile(r"(?:.*[._-])?tests?|__(?:tests|mocks|fixtures|snapshots)__", re.IGNORECASE)
_TEST_FILE = re.compile(
    r"(?:conftest|tests?|test_.*|.*_tests?)\.pyi?"
    r"|(?:.*[._-](?:tests?|spec|test-d)|tests?|test[_-].*)\.[cm]?[jt]sx?(?:\.snap)?",
    re.IGNORECASE,
)
_DOC_FOLDERS = {
    "doc",
    "docs",
    "documentation",
    "changelog.d",
    "changes.d",
    "newsfragments",
    "news",
    "licenses",
}
_DOC_SUFFIXES = (
    ".md",
    ".rst",
    ".txt",
    ".adoc",
    ".markdown",
    ".mdx",
    ".png",
    ".svg",
    ".jpg",
    ".jpeg",
    ".gif",
    ".pdf",
)
_DOC_NAMES = re.compile(
    r"(?:readme|changelog|changes|history|news|authors|contributing|contributors|licen[sc]e|copying|notice|todo|citation"
    r"|code_of_conduct|security|\.readthedocs|\.all-contributorsrc|mkdocs)(?:[._-].*)?",
    re.IGNORECASE,
)
_REQUIREMENTS = re.compile(r".*(?:requirements|constraints).*\.txt", re.IGNORECASE)
_CI_FOLDERS = {
    ".github",
    ".circleci",
    ".gitlab",
    ".buildkite",
    ".azure-pipelines",
    ".travis",
    ".devcontainer",
    ".ci",
}
_CI_NAMES = re.compile(
    r"\.travis\.ya?ml|\.gitlab-ci\.ya?ml|\.?appveyor\.ya?ml|azure-pipelines.*\.ya?ml|\.pre-commit-config\.ya?ml|tox\.ini"
    r"|noxfile\.py|\.?codecov\.ya?ml|\.coveragerc|jenkinsfile|\.?renovate\.json5?|dependabot\.ya?ml|\.cirrus\.ya?ml"
    r"|\.editorconfig|\.git-blame-ignore-revs|\.gitignore|\.gitattributes|\.mailmap|\.python-version.*|\.flake8|ruff\.toml",
    re.IGNORECASE,
)
_LOCK_FILES = re.compile(
    r"(?:.*/)?(?:uv|poetry|pdm|pipfile|cargo|composer|gemfile|flake|deno|bun)\.lock|(?:.*/)?(?:yarn\.lock|bun\.lockb"
    r"|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|pylock(?:\..*)?\.toml|go\.sum)|.*\.(?:svg|map|snap)",
    re.IGNORECASE,
)
_NOT_WRITTEN_BY_HAND = re.compile(r".*\.min\.[cm]?js|(?:.*/)?(?:node_modules|_vendor|vendor|third_party)/.*")


@cache
def kind_of(path: str) -> PathKind:
    """Whether a file is production code, test code (test helpers too), or no code of interest."""
    name = PurePosixPath(path).name.lower()
    if not name.endswith((*PYTHON, *SCRIPT)) or _NOT_WRITTEN_BY_HAND.fullmatch(path):
        return "other"
    if is_ci(path):
        return "other"
    if is_test_path(path):
        return "test"
    return "other" if is_documentation(path) else "production"


@cache
def is_generated(path: str) -> bool:
    """Whether a file is generated or vendored: locks, drawings, minified and third-party code."""
    return bool(_LOCK_FILES.fullmatch(path) or _NOT_WRITTEN_BY_HAND.fullmatch(path))


@cache
def is_test_path(path: str) -> bool:
    """Whether a file, code or data, belongs to the tests: by a folder above it or by its own name."""
    pure = PurePosixPath(path)
    return any(_TEST_FOLDER.fullmatch(part) for part in pure.parts[:-1]) or bool(_TEST_FILE.fullmatch(pure.name))


@cache
def is_documentation(path: str) -> bool:
    """Whether a file is documentation."""
    pure = PurePosixPath(path)
    if not _DOC_FOLDERS.isdisjoint(part.lower() for part in pure.parts[:-1]):
        return True
    if _REQUIREMENTS.fullmatch(pure.name) or is_test_path(path):
        return False
    if pure.suffix.lower() in (*PYTHON, *SCRIPT):
        return False
    return pure.name.lower().endswith(_DOC_SUFFIXES) or bool(_DOC_NAMES.fullmatch(pure.name))


@cache
def is_ci(path: str) -> bool:
    """Whether a file only configures CI or other project tooling."""
    pure = PurePosixPath(path)
    return not _CI_FOLDERS.isdisjoint(pure.parts[:-1]) or bool(_CI_NAMES.fullmatch(pure.name))
