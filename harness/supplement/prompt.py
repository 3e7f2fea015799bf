"""Content of a teacher's prompt: the task, the change, the code around it, tests of the same repository."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from agent.retrieve import elide
from harness.packages.gold_patch import GoldFileChange, GoldPatch
from harness.planners.hunks import FileHunks
from harness.supplement.module_paths import is_module
from harness.supplement.templates import block
from models.chat import Message
from models.errors import EditError, PromptTooLong
from models.manifest import Instance
from repos import text as texts
from repos.git import Git
from repos.index.paths import is_test_path
from repos.index.symbols import IMPORTS, MODULE

FRAME = 8
"""Most tokens that a chat format adds to a message."""
_FOLDER, _TEMPLATE = Path(__file__).parent, "write_tests.jinja"


@dataclass(frozen=True)
class ShownFile:
    """A file in the prompt: its text, and the same with what the change does not touch elided."""

    path: str
    text: str
    shorter: str


@dataclass(frozen=True)
class Brief:
    """Everything of an instance that the prompt may show. `files` are after the change; `others` are only named."""

    task: str
    diff: str
    others: tuple[str, ...]
    files: tuple[ShownFile, ...]
    examples: tuple[ShownFile, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class EarlierAnswer:
    """The previous answer: its test modules, and their faults."""

    modules: tuple[str, ...]
    wrong: str


def brief_on(git: Git, instance: Instance, gold: GoldPatch) -> Brief:
    """Collect what a teacher's prompt may show of an instance."""
    code = [change for change in gold.production if change.side == "production"]
    return Brief(
        task=instance.task,
        diff=replace(gold, production=tuple(code)).patch(),
        others=tuple(sorted(c.path for c in gold.production if c.side != "production")),
        files=tuple(_changed(change) for change in code if change.before and change.after),
        examples=tuple(_examples(git, instance, code)),
    )


def _changed(change: GoldFileChange) -> ShownFile:
    assert change.before is not None and change.after is not None
    hunks = FileHunks(change.path, change.before.text, change.after.text).hunks
    names = {name for hunk in hunks for name in hunk.names} - {IMPORTS, MODULE}
    after = change.after.text
    return ShownFile(change.path, after, elide(after, change.path, names, ()))


def _examples(git: Git, instance: Instance, code: list[GoldFileChange]) -> Iterator[ShownFile]:
    """The most relevant test modules of the commit: those it touches, else those named after what it changes."""
    there = [entry.path for entry in git.tree(instance.commit) if is_test_path(entry.path)]
    touched = [path for path in instance.test_files if is_module(path) and path in there]
    stems = {PurePosixPath(change.path).stem.strip("_") for change in code}
    namesakes = [path for path in there if is_module(path) and any(stem in PurePosixPath(path).stem for stem in stems)]
    chosen = touched or namesakes or [path for path in there if is_module(path)][:1]
    folders = {PurePosixPath(path).parent for path in chosen}
    conftests = [path for path in there if PurePosixPath(path).name == "conftest.py"]
    near = [path for path in conftests if any(PurePosixPath(path).parent in (f, *f.parents) for f in folders)]
    for path in (*near, *chosen[:2]):
        try:
            text = texts.decode(git.read(instance.commit, path) or b"", path)
        except EditError:
            continue
        yield ShownFile(path, text, elide(text, path, (), ()))


def render(
    brief: Brief, max_prompt_tokens: int, count: Callable[[str], int], before: EarlierAnswer | None = None
) -> tuple[Message, ...]:
    """The messages for a teacher, in at most `max_prompt_tokens` tokens by `count`, without truncating anything.

    What does not fit is elided or left out as a whole, examples first, then the largest files; the prompt names what
    was left out. Raises PromptTooLong if the change alone does not fit.
    """
    size = 0
    for shorter in _shorter(brief):
        messages = (
            Message(role="system", content=block(_FOLDER, _TEMPLATE, "system", brief=shorter, before=before)),
            Message(role="user", content=block(_FOLDER, _TEMPLATE, "user", brief=shorter, before=before)),
        )
        size = sum(count(message.content) + FRAME for message in messages)
        if size <= max_prompt_tokens:
            return messages
    raise PromptTooLong(f"the change alone makes a prompt of {size} tokens, and the teacher takes {max_prompt_tokens}")


def _shorter(brief: Brief) -> Iterator[Brief]:
    """The brief, then versions with less and less around the change."""
    yield brief
    for examples, left in _lessened(brief.examples):
        yield replace(brief, examples=examples, left_out=left)
    brief = replace(brief, examples=(), left_out=tuple(s.path for s in brief.examples))
    for files, left in _lessened(brief.files):
        yield replace(brief, files=files, left_out=(*brief.left_out, *left))


def _lessened(shown: tuple[ShownFile, ...]) -> Iterator[tuple[tuple[ShownFile, ...], tuple[str, ...]]]:
    """Files with less and less of them, the largest first: elided one by one, then left out one by one."""
    largest = [each.path for each in sorted(shown, key=lambda each: (-len(each.text), each.path))]
    for number in range(len(largest)):
        short = largest[: number + 1]
        yield tuple(replace(each, text=each.shorter) if each.path in short else each for each in shown), ()
    for number in range(len(largest)):
        gone = largest[: number + 1]
        kept = tuple(replace(each, text=each.shorter) for each in shown if each.path not in gone)
        yield kept, tuple(gone)
