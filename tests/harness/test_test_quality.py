"""What tests are worth: the lines they run, and the reverted hunks they notice; in the real sandbox."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.test_quality import cached_quality, quality_conditions, quality_of_tests, reverted
from harness.test_quality.mutants import changed_lines
from models.files import FileContent, Overlay
from models.limits import Limits
from models.suite import SuiteReport
from models.test_quality import MutantOutcome, TestQuality
from runtime.sandbox import Mount, open_sandbox
from runtime.testing import Lines, Selection, SuiteSetup
from runtime.testing.pytest_runner import run_measured
from runtime.trees import Runtime
from store.runs import open_raw_store
from store.runs.supplements import open_supplement_store, quality_key
from tests.support.gold_material import TEXTS

VENV, BASE = Path(sys.prefix), Path(sys.base_prefix)
MODULE = '''"""Numbers."""
import threading

SIZE = 3


def sign(x):
    """Of a number."""
    if x > 0:
        return 1
    elif x < 0:
        return -1
    return 0


def squares(n):
    for i in range(n):
        yield (
            i *
            i
        )


async def later():
    return SIZE


class Box:
    value = 1

    def open(self):  # never called
        return [
            self.value
        ]


def aside():
    found = []
    thread = threading.Thread(target=lambda: found.append(inside()))
    thread.start()
    thread.join()
    return found


def inside():
    return SIZE
'''
TESTS = """import asyncio
import sys
import pytest
import numbers_of

def test_sign():
    assert numbers_of.sign(2) == 1

def test_takes_the_tracer_away():
    sys.settrace(None)

@pytest.mark.parametrize("n", [2])
def test_squares(n):
    assert list(numbers_of.squares(n)) == [0, 1]

def test_later():
    assert asyncio.run(numbers_of.later()) == 3

def test_aside():
    assert numbers_of.aside() == [3]
"""


def content(text: str) -> FileContent:
    return FileContent(text)


def numbered(module: str, *starts: str) -> set[int]:
    return {n for n, line in enumerate(module.split("\n"), 1) if line.strip().startswith(starts)}


def measure(tree: Path, files: dict[str, str], wanted: list[str]) -> tuple[SuiteReport, dict[str, Lines]]:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    setup = SuiteSetup(VENV / "bin" / "python", (Mount(VENV, VENV), Mount(BASE, BASE)), ("src",))
    return run_measured(open_sandbox(), tree, setup, Selection(), Limits(wall_seconds=60), wanted)


def test_the_lines_that_tests_run_are_told_from_those_they_do_not(tmp_path: Path) -> None:
    files = {"src/numbers_of.py": MODULE, "src/other.py": "x = 1\n", "tests/test_a.py": TESTS}
    report, lines = measure(tmp_path, files, ["src/numbers_of.py", "src/other.py", "src/gone.py"])
    assert not report.ids() and len(report.passed) == 5, report.output
    found = lines["src/numbers_of.py"]
    not_run = found.can - found.ran
    assert not_run == numbered(MODULE, "elif", "return -1", "return 0", "return [", "self.value")
    assert numbered(MODULE, "def ", "class ", "SIZE =", "import", "return SIZE", "thread.start") <= found.ran
    assert not found.can & numbered(MODULE, "#", '"""Of')
    assert lines["src/other.py"] == Lines(frozenset({1}), frozenset())
    assert lines["src/gone.py"] == Lines(frozenset(), frozenset())


def test_a_run_that_does_not_end_and_a_record_that_is_forged_tell_nothing(tmp_path: Path) -> None:
    forged = (
        "import json, os\n\n\ndef test_a():\n"
        "    record = {'nonce': '', 'files': {'/room/src/a.py': {'can': [1], 'ran': [1]}}}\n"
        "    open('/cra/lines/results/lines-1.json', 'w').write(json.dumps(record))\n    os._exit(0)\n"
    )
    _, lines = measure(tmp_path, {"src/a.py": "x = 1\n", "tests/test_a.py": forged}, ["src/a.py"])
    assert lines == {}


def test_hunks_are_reverted_one_by_one() -> None:
    before = '"""Doc."""\na = 1\n\n\ndef f():\n    return a\n\n\ndef g():\n    return 1\n'
    after = '"""Other."""\na = 2\n\n\ndef f():\n    return a\n\n\ndef g():\n    # why\n    return 1\n'
    more = after.replace("    # why\n    return 1", "    return 5")
    both = reverted({"m.py": (content(before), content(more)), "README.md": (None, content("x"))})
    assert [(each.mutant.start, each.mutant.end, each.mutant.names) for each in both] == [
        (1, 3, ("a",)),
        (10, 11, ("g",)),
    ]
    assert [each.content.text if each.content else None for each in both] == [
        more.replace('"""Other."""\na = 2', '"""Doc."""\na = 1'),
        more.replace("return 5", "return 1"),
    ]
    fates = [each.mutant.fate for each in reverted({"m.py": (content(before), content(after))})]
    assert fates == [MutantOutcome.SURVIVED, MutantOutcome.EQUIVALENT]  # a comment
    created = reverted({"new.py": (None, content("x = 1\n")), "empty.py": (None, content("# later\n"))})
    assert [(each.content, each.mutant.fate) for each in created] == [
        (None, MutantOutcome.EQUIVALENT),
        (None, MutantOutcome.SURVIVED),
    ]
    (gone,) = reverted({"old.py": (content("x = 1\n"), None)})
    assert gone.content == content("x = 1\n")


@given(TEXTS, TEXTS)
def test_every_text_can_be_taken_apart(before: str, after: str) -> None:
    sides = {"a.py": (content(before), content(after))}
    mutants = reverted(sides)
    assert bool(mutants) == (before != after)
    assert all(each.content is not None and each.content.text != after for each in mutants)
    lines = {line for each in mutants for line in range(each.mutant.start, each.mutant.end)}
    assert changed_lines(sides)["a.py"] == lines


# of a real commit


def overlay(files: dict[str, str]) -> Overlay:
    return {path: (text.encode(), False) for path, text in files.items()}


@pytest.fixture(scope="module")
def gold(sample: RepoPackage) -> tuple[Overlay, Overlay]:
    instance = sample.manifest.instances[0]
    patch = read_gold_patch(sample.git, instance.commit, instance.base_commit)

    def laid(changes: tuple) -> Overlay:  # type: ignore[type-arg]
        diffs = [diff for change in changes for diff in change.diffs()]
        return {d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs}

    return laid(patch.production), laid(patch.tests)


Measure = Callable[[Overlay], TestQuality]


@pytest.fixture
def quality(runtime: Runtime, sample: RepoPackage, gold: tuple[Overlay, Overlay]) -> Measure:
    return lambda tests: quality_of_tests(runtime, sample, sample.manifest.instances[0], gold[0], tests)


@pytest.mark.index
def test_a_commits_own_tests_notice_what_it_changes(quality: Measure, gold: tuple[Overlay, Overlay]) -> None:
    found = quality(gold[1])
    assert found.tests and not found.unsteady, found
    assert found.coverage == 1.0, found.missed
    assert found.killed >= 1 and found.killed + len(found.survivors) == found.total
    killed = [mutant for mutant in found.mutants if mutant.fate is MutantOutcome.KILLED]
    assert all(mutant.by in found.tests and mutant.how for mutant in killed)
    assert TestQuality.model_validate_json(found.model_dump_json()) == found


@pytest.mark.index
def test_tests_that_check_nothing_notice_nothing(quality: Measure) -> None:
    found = quality(overlay({"tests/test_mine.py": "def test_true():\n    pass\n"}))
    assert (found.tests, found.killed) == (("tests/test_mine.py::test_true",), 0)
    assert found.total == len(found.survivors) > 0
    assert found.coverage == 0.0


@pytest.mark.index
def test_tests_that_fail_or_do_not_import_measure_nothing(quality: Measure) -> None:
    files = {
        "tests/test_mine.py": "def test_false():\n    assert 0\n",
        "tests/test_broken.py": "import no_such_module\n",
        "src/spans/show.py": "raise SystemExit\n",
    }
    found = quality(overlay(files))
    assert found.tests == () and found.mutants == ()
    assert "no test passes" in found.note
    assert found.unsteady["tests/test_mine.py::test_false"].startswith("failed: assert 0")
    assert "no_such_module" in found.unsteady["tests/test_broken.py"]
    assert quality({}).note == "there are no tests to measure"


@pytest.mark.index
def test_a_measurement_is_stored_once(
    runtime: Runtime, sample: RepoPackage, gold: tuple[Overlay, Overlay], tmp_path: Path
) -> None:
    target = tmp_path / "raw.sqlite"
    keys = open_raw_store(target).register_package(sample.manifest)
    store = open_supplement_store(target)
    instance = keys[sample.manifest.instances[0].instance_id]
    patch, tests = gold
    conditions = {**quality_conditions(runtime), "base_tests": None}
    key = quality_key(instance, patch, tests, conditions)
    assert store.find_quality(key) is None
    found = TestQuality(tests=("a",), changed=3, missed=("a.py:1",))
    store.add_quality(key, instance, patch, tests, found)
    store.add_quality(key, instance, patch, tests, found.model_copy(update={"changed": 4}))
    assert store.find_quality(key) == found
    kept = cached_quality(store, runtime, sample, sample.manifest.instances[0], instance, patch, tests)
    assert kept == found
    assert quality_key(instance, patch, {}, conditions) != key
