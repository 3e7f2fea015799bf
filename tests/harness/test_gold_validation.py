"""Gold validation of real commits in the real sandbox, and what strangers' code can do to it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.mining import mine
from harness.packages.gold_validation import GoldVerdict, validate_gold
from harness.packages.package import RepoPackage
from models.causes import Layer, TestCategory
from models.limits import MIB, Limits
from models.manifest import InvalidReason
from runtime.trees import Provisioned, Runtime, provisioned
from tests.support.mining_history import entry, write_history

pytestmark = pytest.mark.index

PROJECT = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n[project]\nname = "little"\n'
BEFORE = {
    "pyproject.toml": PROJECT + 'version = "1"\n',
    "src/little/__init__.py": "def one():\n    return 1\n",
    "tests/test_one.py": "from little import one\n\n\ndef test_one():\n    assert one() == 1\n",
}
TWO = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
TEST_TWO = "import little\n\n\ndef test_two():\n    assert little.two() == 2\n"


@pytest.fixture(scope="module")
def provided(runtime: Runtime, sample: RepoPackage) -> Iterator[Provisioned]:
    environment = sample.manifest.environment(sample.manifest.instances[0].environment or "")
    with provisioned(runtime, environment, sample.wheels, "1.0") as held:
        yield held


def validate(
    runtime: Runtime, provided: Provisioned, path: Path, after: dict[str, str], before: dict[str, str] | None = None
) -> GoldVerdict:
    git = write_history(
        path / "little.git", [entry("Start a project", BEFORE, before or {}), entry("Add a second number", after)]
    )
    (commit,) = mine(git).commits
    limits = Limits(wall_seconds=8, memory_bytes=700 * MIB, processes=40, output_bytes=2 * MIB, file_bytes=20 * MIB)
    return validate_gold(replace(runtime, limits=limits), git, commit, provided)


def test_a_feature_with_its_test_is_valid(runtime: Runtime, provided: Provisioned, tmp_path: Path) -> None:
    found = validate(runtime, provided, tmp_path, {"src/little/__init__.py": TWO, "tests/test_two.py": TEST_TWO})
    assert found.reason is None, found.detail
    assert found.fail_to_pass == ("tests/test_two.py::test_two",)
    assert found.pass_to_pass == ("tests/test_one.py::test_one",)


def test_what_does_not_end_at_the_parent_is_what_the_commit_mends(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    endless = "def one():\n    return 1\n\n\ndef two():\n    while True:\n        pass\n"
    after = "def test_first():\n    pass\n\n\n" + TEST_TWO + "\n\ndef test_later():\n    pass\n"
    found = validate(
        runtime,
        provided,
        tmp_path,
        {"src/little/__init__.py": TWO, "tests/test_two.py": after},
        {"src/little/__init__.py": endless},
    )
    assert found.reason is None, found.detail
    assert found.fail_to_pass == ("tests/test_two.py::test_two",)  # test_later was not reached


def test_what_only_takes_longer_at_the_parent_tells_nothing(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    slow = "import time\n\n\ndef one():\n    return 1\n\n\ndef two():\n    time.sleep(4)\n    return 2\n"
    found = validate(
        runtime,
        provided,
        tmp_path,
        {"src/little/__init__.py": TWO, "tests/test_two.py": TEST_TWO},
        {"src/little/__init__.py": slow},
    )
    assert found.reason is InvalidReason.NO_FAIL_TO_PASS


def test_a_test_that_passes_at_the_parent_tells_nothing(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    found = validate(
        runtime, provided, tmp_path, {"src/little/__init__.py": TWO, "tests/test_two.py": "def test_two():\n    pass\n"}
    )
    assert found.reason is InvalidReason.NO_FAIL_TO_PASS


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        ("while True:\n        pass", InvalidReason.TIMEOUT, "did not end"),
        ("import os; os._exit(0)", InvalidReason.CRASHED, "crashed"),
        ("while True:\n        print('x' * 100_000)", InvalidReason.CRASHED, "output-limit"),
        ("x = bytearray(2_000_000_000)", InvalidReason.GOLD_FAILS, "MemoryError"),
        ("open('/usr/x', 'w')", InvalidReason.GOLD_FAILS, "/usr/x"),
        ("import socket; socket.create_connection(('1.1.1.1', 53), 2)", InvalidReason.GOLD_FAILS, "unreachable"),
        ("import no_such_module", InvalidReason.GOLD_FAILS, "no_such_module"),
    ],
    ids=["hangs", "leaves", "floods", "hogs", "writes-outside", "opens-a-socket", "lacks-a-module"],
)
def test_a_test_that_misbehaves_ends_in_a_named_outcome(
    runtime: Runtime, provided: Provisioned, tmp_path: Path, body: str, reason: InvalidReason, says: str
) -> None:
    test = f"def test_two():\n    import sys; sys.stdout = sys.__stdout__\n    {body}\n"
    found = validate(runtime, provided, tmp_path, {"src/little/__init__.py": TWO, "tests/test_two.py": test})
    assert (found.reason, says in found.detail) == (reason, True), found.detail


def test_a_module_that_cannot_be_imported_is_a_collection_error(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    after = {"src/little/__init__.py": TWO, "tests/test_two.py": "import no_such_module\n" + TEST_TWO}
    found = validate(runtime, provided, tmp_path, after)
    assert found.reason is InvalidReason.COLLECTION_ERROR
    assert "no_such_module" in found.detail


LACKS = {"tests/test_lacks.py": "open('tests/sub/data.json')\n\n\ndef test_lacks():\n    pass\n"}


def test_a_file_that_is_collected_neither_before_nor_after_costs_itself(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    after = {"src/little/__init__.py": TWO, "tests/test_two.py": TEST_TWO}
    found = validate(runtime, provided, tmp_path, after, LACKS)
    assert (found.reason, found.fail_to_pass) == (None, ("tests/test_two.py::test_two",)), found.detail
    (excluded,) = found.excluded
    assert (excluded.id, excluded.category) == ("tests/test_lacks.py", TestCategory.MISSING_FILE)


def test_a_file_that_is_collected_only_before_is_a_collection_error(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    needs = {"tests/test_lacks.py": "from little import OLD\n\n\ndef test_lacks():\n    pass\n"}
    old = {**needs, "src/little/__init__.py": BEFORE["src/little/__init__.py"] + "OLD = 1\n"}
    after = {"src/little/__init__.py": TWO, "tests/test_two.py": TEST_TWO}
    found = validate(runtime, provided, tmp_path, after, old)
    assert found.cause is not None
    assert (found.reason, found.cause.layer) == (InvalidReason.COLLECTION_ERROR, Layer.IMPORT)
    assert "test_lacks.py" in found.detail


def test_a_package_that_an_installed_one_shadows_is_found(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    after = {
        "src/little/__init__.py": TWO,
        "tests/test_two.py": TEST_TWO,
        "src/little/core.py": "x = 1\n",
        "src/sys/__init__.py": "y = 1\n",
    }
    assert validate(runtime, provided, tmp_path, after).reason is InvalidReason.SHADOWED


def test_a_build_script_that_wants_the_network_fails_by_name(
    runtime: Runtime, provided: Provisioned, tmp_path: Path
) -> None:
    backend = "import socket\n\n\ndef build_wheel(*args, **kwargs):\n    socket.create_connection(('1.1.1.1', 80), 2)\n"
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "little"\n'
        'version = "1"\n'
    )
    after = {
        "src/little/__init__.py": TWO,
        "tests/test_two.py": TEST_TWO,
        "backend.py": backend,
        "pyproject.toml": project,
        "src/little/fast.pyx": "cdef int x = 1\n",
    }
    found = validate(runtime, provided, tmp_path, after)
    assert found.reason is InvalidReason.BUILD_FAILED
    assert "nreachable" in found.detail
