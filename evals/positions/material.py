"""What the probes are made of: sentences of documents, functions, and entries of data, all of one repository."""

import ast
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from evals.positions.functions import Function, functions_of, held_lines, parsed
from models.errors import EditError
from repos.git import Git
from repos.index.paths import is_generated
from repos.text import decode

DOCUMENTS = (".md", ".rst", ".txt")
_LEAST_WORDS, _MOST_WORDS = 12, 40
_PIECE = 5
"""Words of a sentence by which it is asked for."""
_MOST_LINES = 25
"""Of a function that is shown."""
_MOST_BYTES = 400_000
_SENTENCE = re.compile(r"[A-Z][^.!?\n|<>{}`]{40,400}[.!?](?=\s|$)")
_SUBJECTS = 3000


class Element(NamedTuple):
    """A piece of a context. `key` names it in the question and occurs in no other piece of the context; the answer to
    the question is `answer`."""

    shown: str
    key: str
    answer: str


def sentences_of(git: Git, commit: str) -> list[Element]:
    """Sentences of a repository's documents, asked for by the words in their middle."""
    found: dict[str, Element] = {}
    for text in _texts(git, commit, DOCUMENTS):
        for match in _SENTENCE.finditer(re.sub(r"(?<!\n)\n(?!\n)", " ", text)):
            words = match[0].split()
            if _LEAST_WORDS <= len(words) <= _MOST_WORDS:
                middle = (len(words) - _PIECE) // 2
                sentence = " ".join(words)
                found.setdefault(sentence, Element(sentence, " ".join(words[middle : middle + _PIECE]), sentence))
    return list(found.values())


def functions_shown(git: Git, commit: str) -> list[Element]:
    """Functions of a repository, each asked for by one of its lines, the last that only it has."""
    candidates: list[tuple[str, str, list[str]]] = []
    for text in _texts(git, commit, (".py",)):
        module = parsed(text)
        if module is None:
            continue
        lines = text.split("\n")
        held = held_lines(module, lines)
        for function in functions_of(module):
            end = function.end_lineno or function.lineno
            if end - function.lineno < _MOST_LINES and not _nested(function):
                asked = [each.text for each in held if each.defined == function.lineno]
                candidates.append((function.name, _shown(lines[function.lineno - 1 : end]), asked))
    found: dict[str, Element] = {}
    for name, shown, asked in candidates:
        keys = [key for key in asked if _has_line(shown, key) == 1 and not re.search(rf"\b{re.escape(name)}\b", key)]
        if keys:
            found.setdefault(name, Element(shown, keys[-1], name))
    return list(found.values())


def entries_of(git: Git, commit: str) -> list[Element]:
    """Commits of a repository as entries of data, each asked for by its id."""
    log = git.output("log", f"--max-count={_SUBJECTS}", "--no-merges", "--format=%H%x00%as%x00%s", commit)
    found: dict[str, Element] = {}
    for line in log.decode(errors="replace").splitlines():
        sha, date, subject = line.split("\0", 2)
        if 10 <= len(subject) <= 80 and subject.isprintable():
            shown = json.dumps({"id": sha[:10], "date": date, "subject": subject}, ensure_ascii=False)
            found.setdefault(subject, Element(shown, sha[:10], subject))
    return list(found.values())


def _texts(git: Git, commit: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The texts of a commit's files with these suffixes, that people wrote, by path."""
    entries = sorted(
        (each for each in git.tree(commit) if each.path.endswith(suffixes) and each.mode in ("100644", "100755")),
        key=lambda each: each.path,
    )
    for entry in entries:
        if is_generated(entry.path):
            continue
        content = git.blobs([entry.blob])[entry.blob]
        if len(content) > _MOST_BYTES or b"\0" in content:
            continue
        try:
            yield decode(content, entry.path)
        except EditError:
            continue


def _nested(function: Function) -> bool:
    return any(isinstance(node, Function | ast.ClassDef) for node in ast.walk(function) if node is not function)


def _shown(lines: list[str]) -> str:
    """Lines without the indent of the first."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] if line[:indent].isspace() else line for line in lines)


def _has_line(text: str, line: str) -> int:
    return sum(each.strip() == line for each in text.split("\n"))
