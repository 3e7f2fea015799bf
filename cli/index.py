"""`cra index`: what the index of a repository holds."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import console, print_json, spinner, table
from host.settings import load_settings
from models.errors import RepositoryError
from repos.clones import cached_clone
from repos.index import AffectedTest, IndexCache, IndexedFile, RepositoryIndex, build_index
from repos.sources import GitSource


def index(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A git repository; its files are not touched.")],
    at: Annotated[str, typer.Option("--at", metavar="REV", help="The revision to index.")] = "HEAD",
    affected: Annotated[
        list[str] | None,
        typer.Option(
            "--affected", metavar="FILE", help="Only print the tests that a change of FILE may break, and why."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print files, symbols and their relations as JSON.")] = False,
) -> None:
    """Index a revision of a repository: symbols, imports, tests, history. What is known is not parsed again."""
    cache = load_settings().cache_dir
    wait = spinner(f"indexing {path}")
    started = time.perf_counter()
    with wait, cached_clone(path, cache) as git:
        try:
            source = GitSource(git, at)
        except RepositoryError as error:
            raise RepositoryError(f"{path}: no commit {at!r}") from error
        found = build_index(source, IndexCache(cache / "index"))
        tests = _affected(found, affected) if affected else None
        description = described(found) if as_json and not affected else None
        summary = summarised(found) if not affected else []
    if tests is not None:
        _print_affected(tests, as_json=as_json)
    elif description is not None:
        print_json(description)
    else:
        _print(found, summary, time.perf_counter() - started)


def _affected(index: RepositoryIndex, paths: list[str]) -> list[AffectedTest]:
    """The tests that changes of some files may break, each once. Raises RepositoryError for a missing file."""
    found: dict[str, AffectedTest] = {}
    for path in paths:
        if path not in index:
            raise RepositoryError(f"{path}: not a text file of {index.revision[:10]}; give its path in the repository")
        for test in index.affected_tests(path):
            found.setdefault(test.path, test)
    return sorted(found.values())


def _print_affected(tests: list[AffectedTest], *, as_json: bool) -> None:
    if as_json:
        print_json([test._asdict() for test in tests])
    else:
        table("affected tests", ["test file", "found by", "through"], [(t.path, t.how, t.through) for t in tests])


def _is_code(file: IndexedFile) -> bool:
    return file.kind == "production" and file.language is not None


def described(index: RepositoryIndex) -> dict[str, Any]:
    """The index as JSON-like data; the same for the same revision."""
    files = []
    for path in index.paths():
        file = index.file(path)
        files.append(
            {
                "path": path,
                "blob": file.blob,
                "kind": file.kind,
                "language": file.language,
                "generated": file.generated,
                "lines": file.lines,
                "doc": file.doc,
                "symbols": [symbol._asdict() for symbol in file.symbols],
                "imports": [edge._asdict() for edge in index.import_edges(path)],
                "imported_by": index.importers(path),
                "tests": index.tests_of(path) if file.kind == "production" else (),
                "affected_tests": [test._asdict() for test in index.affected_tests(path)] if _is_code(file) else [],
                "exercises": index.exercised_by(path) if file.is_test else (),
                "changes": index.history.changes(path),
                "changed_with": dict(index.history.changed_with(path).most_common(10)),
            }
        )
    return {"revision": index.revision, "commits": len(index.commits), "files": files}


def summarised(index: RepositoryIndex) -> list[tuple[str, int]]:
    """Counts, for people."""
    files = [index.file(path) for path in index.paths()]
    code = [file for file in files if file.language]
    return [
        ("files", len(files)),
        ("  with symbols", len(code)),
        ("  of these tests", sum(file.is_test for file in code)),
        ("symbols", sum(len(file.symbols) for file in code)),
        ("imports between files", sum(len(index.imports(file.path)) for file in code)),
        ("files that a test exercises", sum(bool(index.tests_of(f.path)) for f in code if f.kind == "production")),
        ("ancestor commits", len(index.commits)),
    ]


def _print(index: RepositoryIndex, summary: list[tuple[str, int]], seconds: float) -> None:
    title = f"{index.revision[:10]}, indexed in {seconds:.2f} s"
    table(title, ["", "count"], summary, right=["count"])
    console.print(index.overview(4000), markup=False, soft_wrap=True)
