"""Facts about a repository for the manifest, and flags for the user."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.mining import licenses
from harness.mining.metadata import Metadata, from_pyproject, from_setup_cfg, from_setup_py
from repos.git import Git, TreeEntry
from repos.index.paths import PYTHON, SCRIPT
from repos.index.suite_layout import SuiteLayout
from repos.layouts import layout_at

DEFENSIVE_FRAMEWORK = "defensive-framework"  # keeps a process alive: catch-alls and silent fallbacks
SIZE_OUT_OF_RANGE = "size-out-of-range"  # production code outside LINES_OF_CODE
NO_PYTHON = "no-python"
NO_TESTS = "no-tests"

LINES_OF_CODE = (1_000, 50_000)
FLAGS = {
    DEFENSIVE_FRAMEWORK: "a framework that catches everything to stay alive: its style is no model for other code",
    SIZE_OUT_OF_RANGE: f"its production code is not of {LINES_OF_CODE[0]:,} to {LINES_OF_CODE[1]:,} lines",
    NO_PYTHON: "no Python, JavaScript or TypeScript code was found",
    NO_TESTS: "no tests were found, so nothing can be judged",
}
"""The meaning of each flag, for people."""
_REGULAR_MODES = ("100644", "100755")
_FRAMEWORK_NAMES = """
    aio-pika aiohttp arq blacksheep bottle celery cherrypy connexion django djangorestframework dramatiq
    falcon fastapi faust flask grequests gunicorn httplib2 httpx huey hug hypercorn kombu litestar
    masonite nameko niquests pika pyramid quart requests robyn rq sanic starlette taskiq tornado treq
    twisted urllib3 uvicorn waitress web2py werkzeug zope axios bull bullmq express fastify got hapi koa
"""
_FRAMEWORKS = frozenset(_FRAMEWORK_NAMES.split())
_FRAMEWORK_WORDS = re.compile(
    r"\bweb\s?(?:micro)?-?framework\b|\bhttps?[ -](?:client|library|server)\b"
    r"|\b(?:task|job|message|work)[ -]queue\b|\bmessage[ -]broker\b"
    r"|\b(?:wsgi|asgi|web)[ -](?:server|framework|toolkit)\b|\bweb applications\b",
    re.IGNORECASE,
)
_FRAMEWORK_CLASSIFIERS = (
    "Topic :: Internet :: WWW/HTTP :: WSGI :: Server",
    "Topic :: Internet :: WWW/HTTP :: WSGI :: Application",
    "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
    "Topic :: Software Development :: Object Brokering",
    "Topic :: Software Development :: Libraries :: Application Frameworks",
)
# Topics about the form of a project, not its domain.
_NO_DOMAIN = re.compile(r"Software Development(?: :: Libraries(?: :: Python Modules)?)?|Utilities")
_LICENSE_FILE = re.compile(r"(?:licen[sc]e|copying|unlicense)(?:[._-].*)?", re.IGNORECASE)
_OWNER = re.compile(r"(?:[a-z+]+://(?:[^@/]+@)?[^/:]+(?::\d+)?/|(?:[^@/]+@)?[^@/:]+:)(?P<owner>[^/]+)/[^/]+/?")


@dataclass(frozen=True)
class RepositoryFacts:
    """Facts about a whole repository in the manifest. `lines_of_code`: production lines, not blank."""

    license: str | None
    organisation: str | None
    domain: str | None
    lines_of_code: int
    flags: tuple[str, ...]


def describe(git: Git, name: str, source: str, commit: str = "HEAD") -> RepositoryFacts:
    """Facts of a repository at a commit. `name` is its own, `source` the path or URL of its origin."""
    commit = git.resolve(commit)
    files = [entry for entry in git.tree(commit) if entry.mode in _REGULAR_MODES]
    layout = layout_at(git, commit)
    metadata = _metadata(git, files)
    lines = _lines_of_code(git, files, layout)
    owner = _OWNER.fullmatch(source)
    flags = {
        DEFENSIVE_FRAMEWORK: is_defensive_framework(name, metadata),
        SIZE_OUT_OF_RANGE: not LINES_OF_CODE[0] <= lines <= LINES_OF_CODE[1],
        NO_PYTHON: not any(
            e.path.endswith((*PYTHON, *SCRIPT)) and layout.kind_of(e.path) == "production" for e in files
        ),
        NO_TESTS: not any(layout.kind_of(entry.path) == "test" for entry in files),
    }
    return RepositoryFacts(
        license=licenses.from_metadata(metadata.license, metadata.classifiers) or _license_file(git, files),
        organisation=owner["owner"] if owner else None,
        domain=_domain(metadata.classifiers),
        lines_of_code=lines,
        flags=tuple(flag for flag, holds in flags.items() if holds),
    )


def is_defensive_framework(name: str, metadata: Metadata) -> bool:
    """Whether a project declares itself a web framework, HTTP client or server, task queue or broker."""
    names = {re.sub(r"[-_.]+", "-", each.lower()) for each in (name, metadata.name) if each}
    words = " \n ".join((metadata.summary, *metadata.keywords))
    return (
        not _FRAMEWORKS.isdisjoint(names)
        or bool(_FRAMEWORK_WORDS.search(words))
        or not set(_FRAMEWORK_CLASSIFIERS).isdisjoint(metadata.classifiers)
    )


def _metadata(git: Git, files: list[TreeEntry]) -> Metadata:
    readers = {"pyproject.toml": from_pyproject, "setup.cfg": from_setup_cfg, "setup.py": from_setup_py}
    blobs = {entry.path: entry.blob for entry in files if entry.path in readers}
    contents = git.blobs(sorted(set(blobs.values())))
    found = Metadata()
    for path, read in readers.items():
        if path in blobs:
            found = found.or_else(read(contents[blobs[path]].decode("utf-8", "replace")))
    return found


def _lines_of_code(git: Git, files: list[TreeEntry], layout: SuiteLayout) -> int:
    blobs = [entry.blob for entry in files if layout.kind_of(entry.path) == "production"]
    contents = git.blobs(sorted(set(blobs)))
    count = {blob: sum(1 for line in content.splitlines() if line.strip()) for blob, content in contents.items()}
    return sum(count[blob] for blob in blobs)


def _license_file(git: Git, files: list[TreeEntry]) -> str | None:
    for entry in files:
        if _LICENSE_FILE.fullmatch(PurePosixPath(entry.path).name) and "/" not in entry.path:
            text = git.blobs([entry.blob])[entry.blob].decode("utf-8", "replace")
            if identifier := licenses.from_text(text):
                return identifier
    return None


def _domain(classifiers: tuple[str, ...]) -> str | None:
    """The first topic that names the project's domain."""
    for classifier in classifiers:
        topic = classifier.removeprefix("Topic :: ")
        if topic != classifier and not _NO_DOMAIN.fullmatch(topic):
            return topic
    return None
