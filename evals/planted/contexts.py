"""Context packages for fault injection: a complete one, and the same with something hidden."""

from harness.planners import GoldPlanner
from models.context import ContextFile, ContextPackage, Relevance
from models.tokens import estimate_tokens
from repos.index.paths import is_documentation
from repos.index.symbols import base_name, symbols
from repos.text import lines_of


def complete(gold: GoldPlanner, found: ContextPackage | None) -> ContextPackage:
    """The retrieved context with each file that the gold patch changes in full, without documentation."""
    files = {file.path: file for file in (found.files if found else ())}
    for change in gold.gold.production:
        if change.before is not None and not is_documentation(change.path):
            path, text = change.old_path or change.path, change.before.text
            if path not in files or not files[path].whole:
                files[path] = ContextFile(
                    path=path, relevance=Relevance.RELEVANT, text=text, whole=True, tokens=estimate_tokens(text),
                    reason="the change is made here",
                )  # fmt: skip
    return _package(list(files.values()))


def without_file(context: ContextPackage, path: str) -> ContextPackage:
    """A context without a file."""
    return _package([file for file in context.files if file.path != path])


def without_symbol(context: ContextPackage, path: str, symbol: str) -> ContextPackage:
    """A context in which a symbol's code is elided from its file."""
    return _package([_elided(file, symbol) if file.path == path else file for file in context.files])


def _elided(file: ContextFile, symbol: str) -> ContextFile:
    lines = lines_of(file.text)
    for each in reversed(symbols(file.text, file.path)):
        if base_name(each.name) == symbol:
            lines[each.start_line : each.end_line] = ["    ...\n"]
    text = "".join(lines)
    return file.model_copy(update={"text": text, "whole": False, "tokens": estimate_tokens(text)})


def _package(files: list[ContextFile]) -> ContextPackage:
    tokens = sum(file.tokens for file in files)
    return ContextPackage(files=tuple(files), tokens=tokens, budget=max(tokens, 24576))
