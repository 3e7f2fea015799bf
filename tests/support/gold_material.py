"""Gold patches for tests: from texts, and from commits of a repository built on the spot."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

from agent.loop import solve
from harness.packages.gold_patch import GoldFileChange, GoldPatch, side_of
from harness.planners import GoldPlanner
from harness.runs.workspace import TreeWorkspace
from models.edits import EditFormat, EditResult
from models.files import FileContent
from models.plans import MetaPlan, PartPlan
from models.protocols import Answer, Request, Stage, Task
from models.solution import Solution
from models.suite import SuiteReport

TASK = Task(text="make the change", repository="r", base="0")


BEFORE = """import os


SIZE = 1


@cache
def first(x):
    return x


class Thing:
    def size(self):
        return SIZE

    def name(self):
        return "thing"


def last():
    return first(1)
"""
AFTER = """import os
import sys


SIZE = 1


def helper(x):
    return x + 1


@cache
def first(x):
    return helper(x)


class Thing:
    def size(self):
        return SIZE * 2

    def color(self):
        return "red"


def last():
    return first(1)
"""


class Deaf:
    """A recorder that keeps the edits and the requests alone."""

    def __init__(self) -> None:
        self.results: list[EditResult] = []
        self.answers: list[tuple[Request, Answer]] = []

    def call(self, request: Request, answer: Answer) -> None:
        self.answers.append((request, answer))

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None: ...

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        self.results += results

    def tests(self, purpose: str, report: SuiteReport) -> None: ...

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None: ...


def content(text: str | None, executable: bool = False) -> FileContent | None:
    return None if text is None else FileContent(text, executable)


def change(path: str, before: str | None, after: str | None, old_path: str | None = None) -> GoldFileChange:
    return GoldFileChange(path, content(before), content(after), side_of(path), old_path)


def patch(*changes: GoldFileChange) -> GoldPatch:
    tests = tuple(each for each in changes if each.side == "test")
    return GoldPatch("c", "p", tuple(each for each in changes if each.side != "test"), tests)


def write_before(gold: GoldPatch, root: Path) -> None:
    for each in (*gold.production, *gold.tests):
        if each.before is not None:
            write(root, each.old_path or each.path, each.before)


def write(root: Path, path: str, file: FileContent) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.text.encode())
    target.chmod(0o755 if file.executable else 0o644)


def wrong(gold: GoldPatch, root: Path) -> list[str]:
    """Paths that are not as they should be after the change."""
    diffs = [diff for each in (*gold.production, *gold.tests) for diff in each.diffs()]
    return [diff.path for diff in diffs if read(root, diff.path) != diff.after]


def read(root: Path, path: str) -> FileContent | None:
    file = root / path
    if not file.is_file():
        return None
    return FileContent(file.read_bytes().decode(), bool(file.stat().st_mode & 0o100))


def reproduce(gold: GoldPatch, edit_format: EditFormat, root: Path) -> tuple[Solution, Deaf]:
    """Solve with the gold planner in a fresh folder; asserts that every file came out as the patch has it."""
    write_before(gold, root)
    recorder = Deaf()
    solution = solve(TASK, GoldPlanner(gold, edit_format), TreeWorkspace(root), recorder)
    assert solution.complete, solution
    assert wrong(gold, root) == []
    return solution, recorder


class Repository:
    """A git repository that grows commit by commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def directory(self) -> Path:
        return self.folder / ".git"

    def git(self, *args: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *args], cwd=self.folder, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes | FileContent | None]) -> str:
        """Write (or, for None, remove) files and commit them: the commit's id."""
        for path, data in files.items():
            file = self.folder / path
            if data is None:
                file.unlink()
            elif isinstance(data, FileContent):
                write(self.folder, path, data)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data if isinstance(data, bytes) else data.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD")


# random changes


def code(draw_line: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    text = st.lists(draw_line, max_size=14).map("".join)
    return st.builds(lambda body, end: body + end, text, st.sampled_from(["", "", "last", "last = 1\r\n"]))


PYTHON_LINES = st.sampled_from(
    [
        "import os\n", "import sys\n", "def f():\n", "def g():\n", "    return 1\n", "    return 2\n", "\n", "\n",
        "class A:\n", "    def f(self):\n", "        pass\n", "    x = 1\n", "x = 1\n", "@d\n", "# c\n", "...\n",
        "\r\n", "def f(): pass\r\n", "=======\n", "```\n", "<<<<<<< SEARCH\n", "\t\n", "   \n", "\ufeffé\u2028\x0c\n",
    ]
)  # fmt: skip
TEXTS = code(PYTHON_LINES) | code(st.sampled_from(["a\n", "b\n", "\n"]))
FILES = st.none() | st.builds(FileContent, TEXTS, st.sampled_from([False, False, False, True]))


@st.composite
def patches(draw: st.DrawFn) -> GoldPatch:
    paths = ["src/p/a.py", "src/p/a.pyi", "b.js", "README.md", "tests/test_a.py"]
    chosen = draw(st.lists(st.sampled_from(paths), unique=True, min_size=1, max_size=3))
    changes = []
    for path in chosen:
        before, after = draw(FILES), draw(FILES)
        old_path = draw(st.sampled_from([None, "old/" + path.rpartition("/")[2]])) if before and after else None
        if old_path and path.startswith("tests"):
            old_path = "tests/old.py"
        if before != after or old_path:
            changes.append(GoldFileChange(path, before, after, change(path, "", "").side, old_path))
    return patch(*changes)
