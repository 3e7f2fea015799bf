"""Which categories and causes failures have, without running anything."""

from pathlib import Path

import pytest

from harness.packages.categories import category_of
from harness.packages.causes import Invalid, cause_of, ended, not_collected
from harness.packages.funnel import causes_of, excluded_of, funnel_of, lacking_of, layers_of
from harness.packages.gold_decision import GoldVerdict
from harness.packages.left_out import naming_left_out, naming_python
from harness.packages.locking import impossible_date
from models.causes import Cause, Layer, TestCategory
from models.manifest import (
    Commit,
    Environment,
    ExcludedTest,
    Instance,
    InvalidReason,
    Manifest,
    MiningFunnel,
    SampledSuite,
)
from models.suite import CaseResult, CaseStatus, Fault, SuiteEnd, SuiteReport
from repos.git import Git
from runtime.environments.dating import day_of


def case(error: str, text: str, module: str = "", test: str = "tests/test_a.py::test_a", then: str = "") -> CaseResult:
    fault = Fault(error=error, text=text, module=module, then=then)
    return CaseResult(id=test, status=CaseStatus.FAILED, fault=fault)


@pytest.mark.parametrize(
    ("failed", "category"),
    [
        (case("ModuleNotFoundError", "No module named 'x'"), TestCategory.MISSING_MODULE),
        (case("KeyError", "'x'", then="ImportError: could not import 'x'"), TestCategory.MISSING_MODULE),
        (
            case("FileNotFoundError", "[Errno 2] No such file or directory: 'git'", "subprocess"),
            TestCategory.MISSING_PROGRAM,
        ),
        (case("FileNotFoundError", "[Errno 2] No such file or directory: 'data/a.json'"), TestCategory.MISSING_FILE),
        (case("FileNotFoundError", "[Errno 2] No such file or directory: '/tmp/x/a'"), TestCategory.BROKEN),
        (case("AssertionError", "sh: 1: dot: not found"), TestCategory.MISSING_PROGRAM),
        (case("socket.gaierror", "[Errno -3] Temporary failure in name resolution"), TestCategory.MISSING_NETWORK),
        (case("OSError", "[Errno 101] Network is unreachable"), TestCategory.MISSING_NETWORK),
        (case("ConnectionRefusedError", "[Errno 111] Connection refused"), TestCategory.BROKEN),
        (
            case(
                "ConnectionRefusedError", "[Errno 111] refused", then="MaxRetryError: Max retries exceeded (localhost)"
            ),
            TestCategory.BROKEN,
        ),
        (case("_tkinter.TclError", "no display name and no $DISPLAY variable"), TestCategory.MISSING_DISPLAY),
        (case("PermissionError", "[Errno 1] Operation not permitted: 'x'"), TestCategory.NEEDS_ROOT),
        (case("RuntimeError", "this must be run as root"), TestCategory.NEEDS_ROOT),
        (case("locale.Error", "unsupported locale setting"), TestCategory.MISSING_LOCALE),
        (
            case("zoneinfo._common.ZoneInfoNotFoundError", "'No time zone found with key X'"),
            TestCategory.MISSING_TIME_ZONE,
        ),
        (case("OSError", "[Errno 25] Inappropriate ioctl for device"), TestCategory.MISSING_TERMINAL),
        (case("MemoryError", ""), TestCategory.NEEDS_RESOURCES),
        (case("OSError", "[Errno 30] Read-only file system: '/usr/x'"), TestCategory.READ_ONLY),
        (case("importlib.metadata.PackageNotFoundError", "No package metadata"), TestCategory.VERSION_MISMATCH),
        (case("AssertionError", "assert '1.2' == '1.3'", test="t.py::test_version"), TestCategory.VERSION_MISMATCH),
        (case("AssertionError", "assert '1.2' == '1.3'", test="t.py::test_sum"), TestCategory.BROKEN),
        (case("AssertionError", "assert 1 == 2"), TestCategory.BROKEN),
        (case("hypothesis.errors.DeadlineExceeded", "Test took 685ms, which exceeds"), TestCategory.FLAKY),
        (
            case("subprocess.CalledProcessError", "Command '['python', '-m', 'ensurepip']' returned 1"),
            TestCategory.MISSING_PROGRAM,
        ),
        (case("FixtureLookupError", "fixture 'mocker' not found"), TestCategory.MISSING_FIXTURE),
    ],
    ids=lambda value: str(value.fault)[:40] if isinstance(value, CaseResult) else value.value,
)
def test_what_a_test_lacks_is_told_from_what_is_broken(failed: CaseResult, category: TestCategory) -> None:
    assert category_of(failed) is category


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("could not import 'trio'", TestCategory.MISSING_MODULE),
        ("Skipped: Pyramid not installed", TestCategory.MISSING_MODULE),
        ("Requires cryptography library not installed", TestCategory.SKIPPED),
        ("requires x: x is not installed", TestCategory.MISSING_MODULE),
        ("the program is not installed", TestCategory.SKIPPED),
        ("program is not installed", TestCategory.MISSING_PROGRAM),
        ("requires a display", TestCategory.MISSING_DISPLAY),
        ("requires network", TestCategory.MISSING_NETWORK),
        ("Windows only", TestCategory.SKIPPED),
    ],
)
def test_a_skip_says_what_is_lacking(message: str, category: TestCategory) -> None:
    assert category_of(CaseResult(id="a::b", status=CaseStatus.SKIPPED, message=message)) is category


def test_categories_of_the_environment_are_those_that_lack_something() -> None:
    mends = {each for each in TestCategory if each.environment_fault}
    assert TestCategory.MISSING_FILE in mends
    assert not mends & {TestCategory.BROKEN, TestCategory.FLAKY, TestCategory.DOCTEST, TestCategory.GONE}


def report(**fields: object) -> SuiteReport:
    return SuiteReport(**{"end": SuiteEnd.COMPLETED, "exit_code": 1, "seconds": 1.0, **fields})


def test_modules_that_are_not_collected_are_told_by_the_error_that_most_have() -> None:
    lacks = Fault(error="ModuleNotFoundError", text="No module named 'x'")
    odd = Fault(error="SyntaxError", text="invalid syntax")
    found = not_collected(
        report(
            collection_errors={"a.py": "", "b.py": "", "c.py": ""}, faults={"a.py": odd, "b.py": lacks, "c.py": lacks}
        ),
        "the commit",
    )
    assert found is not None
    assert (found.reason, found.cause.layer) == (InvalidReason.COLLECTION_ERROR, Layer.IMPORT)
    assert (found.cause.error, found.cause.category) == ("ModuleNotFoundError", TestCategory.MISSING_MODULE)
    assert found.cause.remedy
    assert not_collected(report(), "the commit") is None


def test_a_module_of_an_older_report_is_told_by_its_traceback() -> None:
    text = "Traceback:\nlib.py:1: in <module>\n    import x\nE   ModuleNotFoundError: No module named 'x'"
    found = not_collected(report(collection_errors={"a.py": text}), "the commit")
    assert found is not None
    assert (found.cause.error, found.cause.text) == ("ModuleNotFoundError", "No module named 'x'")


def test_a_run_that_did_not_end_has_a_layer_and_a_remedy() -> None:
    late = ended(report(end=SuiteEnd.TIMEOUT, exit_code=None), "the commit")
    assert late is not None
    assert (late.reason, "wall_seconds" in late.cause.remedy) == (InvalidReason.TIMEOUT, True)
    unknown = ended(
        report(end=SuiteEnd.USAGE, exit_code=4, output="ERROR: usage: x\nx: error: unrecognized arguments: --cov"), "it"
    )
    assert unknown is not None
    assert (unknown.cause.layer, unknown.cause.text) == (Layer.CONFIGURATION, "unrecognized arguments: --cov")
    assert ended(report(), "the commit") is None


@pytest.mark.parametrize(
    ("reason", "detail", "layer", "error", "remedy"),
    [
        (
            InvalidReason.UNRESOLVABLE,
            "no Python fits; run `uv python install 3.9`",
            Layer.RESOLUTION,
            "",
            "install 3.9",
        ),
        (InvalidReason.NO_WHEEL, "x has no usable wheels", Layer.DOWNLOAD, "", "source"),
        (
            InvalidReason.BUILD_FAILED,
            "x did not build: ModuleNotFoundError: No module named 'numpy'",
            Layer.BUILD,
            "ModuleNotFoundError",
            "requirements",
        ),
        (InvalidReason.UNSUPPORTED_CHANGE, "a.bin is binary", Layer.COMMIT, "", ""),
    ],
)
def test_a_reason_without_a_run_has_its_layer(
    reason: InvalidReason, detail: str, layer: Layer, error: str, remedy: str
) -> None:
    cause = cause_of(reason, detail)
    assert (cause.layer, cause.error, remedy in cause.remedy) == (layer, error, True)
    assert Invalid(reason, detail).cause == cause


def test_a_date_for_which_no_release_can_be_named_is_the_reason() -> None:
    assert "1970" in impossible_date(day_of(0), 0)
    assert "9999" in impossible_date(day_of(1_700_000_000), 300_000_000_000)
    assert impossible_date(day_of(1_700_000_000), 1_700_000_000) == ""


def instance(number: int, **fields: object) -> Instance:
    given = {"instance_id": f"a__{number}", "commit": f"{number:040x}", "base_commit": "0" * 40, "task": "t"}
    lists = {"planning_types": (), "production_files": (), "test_files": (), "environment": "e"}
    return Instance(**{**given, **lists, **fields})


def test_the_funnel_counts_how_far_commits_came_and_causes_come_by_layer() -> None:
    lacks = Cause(layer=Layer.IMPORT, error="ModuleNotFoundError", text="No module named 'x'")
    manifest = Manifest(
        name="a", source="local:a", license=None, organisation=None, domain=None, head="0" * 40, python="3.12",
        test_command=(), lines_of_code=1, funnel=MiningFunnel(total=9, dropped={}, needs_message=0, kept=8, mixed=6),
        instances=(
            instance(
                1,
                excluded=(
                    ExcludedTest(id="t.py::a", reason="needs the network", category=TestCategory.MISSING_NETWORK),
                    ExcludedTest(id="t.py::b", reason="failed", category=TestCategory.BROKEN),
                    ExcludedTest(id="t.py::c", reason="failed"),
                ),
                sampled=SampledSuite(files=("t.py",), share="1/2", of=2),
            ),
            instance(2, reason=InvalidReason.COLLECTION_ERROR, cause=lacks),
            instance(3, reason=InvalidReason.COLLECTION_ERROR, cause=lacks),
            instance(4, reason=InvalidReason.FLAKY, cause=Cause(layer=Layer.TEST)),
            instance(5, environment=None, reason=InvalidReason.NO_WHEEL, cause=Cause(layer=Layer.DOWNLOAD)),
            instance(6, reason=InvalidReason.BUILD_FAILED, cause=Cause(layer=Layer.BUILD)),
        ),
    )  # fmt: skip
    assert tuple(funnel_of(manifest, 1)) == ("a", 8, 6, 4, 2, 1, 1, 1)
    assert layers_of([manifest]) == {"download": 1, "build": 1, "import": 2, "test": 1}
    assert [(cause.layer, cause.commits) for cause in causes_of([manifest])] == [
        ("download", 1), ("build", 1), ("import", 2), ("test", 1),
    ]  # fmt: skip
    assert excluded_of([manifest]) == {"broken": 1, "missing-network": 1, "unknown": 1}
    assert lacking_of([manifest]) == {"missing-network": 1}


@pytest.mark.parametrize(
    ("day", "remedy"), [("2018-10-26", "before 3.8"), ("2020-03-01", "uv python install 3.8"), ("2022-11-01", "")]
)
def test_a_python_younger_than_the_commit_is_named_where_nothing_else_is(day: str, remedy: str) -> None:
    cause = Cause(layer=Layer.COLLECTION, error="AttributeError", text="module 'time' has no attribute 'clock'")
    verdict = GoldVerdict(reason=InvalidReason.COLLECTION_ERROR, cause=cause)
    version, abi = ("3.8", "cp38") if day < "2019" else ("3.11", "cp311")
    environment = Environment(key="k", python=version, abi=abi, requires=(), cutoff=day, lock="", wheels=())
    found = naming_python(verdict, environment).cause
    assert found is not None
    assert remedy in found.remedy
    assert bool(remedy) == bool(found.remedy)


@pytest.mark.parametrize(("message", "named"), [("Handle what Python 3.14 has", True), ("Drop Python 3.9", False)])
def test_a_newer_python_that_the_message_names_is_the_remedy(message: str, named: bool) -> None:
    cause = cause_of(InvalidReason.NO_FAIL_TO_PASS, "every touched test passes")
    verdict = GoldVerdict(reason=InvalidReason.NO_FAIL_TO_PASS, cause=cause)
    environment = Environment(key="k", python="3.13", abi="cp313", requires=(), cutoff="2026-05-26", lock="", wheels=())
    found = naming_python(verdict, environment, message).cause
    assert found is not None
    assert ("uv python install 3.14" in found.remedy) == named


def test_an_environment_of_node_has_no_python_to_blame(tmp_path: Path) -> None:
    cause = cause_of(InvalidReason.GOLD_FAILS, "a test fails")
    verdict = GoldVerdict(reason=InvalidReason.GOLD_FAILS, cause=cause)
    environment = Environment(key="k", python="", abi="node22", requires=(), cutoff="2026-05-26", lock="", wheels=())
    commit = Commit(sha="a", parent="b", subject="", message="Python 3.14", author_date="", committed=0, changes=(),
                    planning_types=())  # fmt: skip
    assert naming_left_out(verdict, Git(tmp_path), commit, environment) == verdict
