"""Packages of JavaScript, with generated tests, with a part of a suite: taken in as they came, or refused."""

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from exchange.intake.batch import ingest
from exchange.intake.context import IntakeContext
from harness.packages.package import RepoPackage, read_package
from models.intake import IntakeEvent, IntakeVerdict, RefusalReason
from models.manifest import NODE
from runtime.testing import file_of
from runtime.trees import Runtime
from tests.support.hostile_base import Json, git, manifest_of, write_manifest
from tests.support.hostile_histories import new_commit
from tests.support.intake_material import intake_in, nobody
from tests.support.node_packages import prepared
from tests.support.node_projects import MOCHA

pytestmark = [pytest.mark.index, pytest.mark.slow]


def _taken(package: Path, runtime: Runtime, root: Path, cache: Path | None = None) -> tuple[IntakeContext, IntakeEvent]:
    context = intake_in(root, runtime, cache=cache)
    [event] = ingest(context, package, nobody)
    return context, event


@pytest.fixture(scope="module")
def mocha(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> RepoPackage:
    """A package of JavaScript with a dozen npm archives, and the folder of its verdicts beside it."""
    root = tmp_path_factory.mktemp("mocha")
    return prepared(MOCHA, runtime, root / "cache", root)


def _cache(package: RepoPackage) -> Path:
    return package.directory.parents[1] / "cache"


def test_a_package_of_javascript_is_taken_in(mocha: RepoPackage, runtime: Runtime, tmp_path: Path) -> None:
    context, event = _taken(mocha.directory, runtime, tmp_path / "data", _cache(mocha))
    assert (event.verdict, event.detail, event.valid) == (IntakeVerdict.ACCEPTED, "", 1)
    here = read_package(context.folders.corpus / mocha.manifest.name)
    assert here.identity == event.identity == mocha.identity
    assert [each.language for each in here.manifest.environments] == [NODE]
    assert sorted(path.name for path in here.wheels.iterdir()) == sorted(path.name for path in mocha.wheels.iterdir())


def _longer(package: Path) -> None:
    archive = min((package / "packages").glob("npm-*.tgz"))
    archive.write_bytes(archive.read_bytes() + b"x")


def _missing(package: Path) -> None:
    min((package / "packages").glob("npm-*.tgz")).unlink()


def _surplus(package: Path) -> None:
    archive = min((package / "packages").glob("npm-*.tgz"))
    shutil.copyfile(archive, archive.with_name("npm-evil-1.0.0.tgz"))


def _exchanged(package: Path) -> None:
    one, other = sorted((package / "packages").glob("npm-*.tgz"))[:2]
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def _zip(package: Path) -> None:
    min((package / "packages").glob("npm-*.tgz")).write_bytes(b"PK\x03\x04" + bytes(100))


def _scripts(package: Path) -> None:
    """The lock lets another package run its installation scripts: the key is no longer that of the lock."""
    manifest = manifest_of(package)
    manifest["environments"][0]["lock"] = manifest["environments"][0]["lock"].replace('"', "'", 1)
    write_manifest(package, manifest)


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (_longer, {RefusalReason.WHEEL}),
        (_exchanged, {RefusalReason.WHEEL}),
        (_missing, {RefusalReason.WHEEL_SET}),
        (_surplus, {RefusalReason.WHEEL_SET}),
        (_zip, {RefusalReason.ARCHIVE}),
        (_scripts, {RefusalReason.MANIFEST}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_an_altered_package_of_javascript_is_refused(
    change: Callable[[Path], None],
    reasons: set[RefusalReason],
    mocha: RepoPackage,
    runtime: Runtime,
    tmp_path: Path,
) -> None:
    package = Path(shutil.copytree(mocha.directory, tmp_path / "medium" / mocha.manifest.name))
    change(package)
    context, event = _taken(package, runtime, tmp_path / "data")
    assert event.reason in reasons
    assert not context.folders.corpus.exists()


def test_a_test_of_javascript_that_is_not_there_is_not_taken_over(
    mocha: RepoPackage, runtime: Runtime, tmp_path: Path
) -> None:
    package = Path(shutil.copytree(mocha.directory, tmp_path / "medium" / mocha.manifest.name))
    manifest = manifest_of(package)
    manifest["instances"][0]["pass_to_pass"].append("test/add.js::is invented")
    write_manifest(package, manifest)
    _, event = _taken(package, runtime, tmp_path / "data", _cache(mocha))
    assert (event.verdict, event.identity) == (IntakeVerdict.ACCEPTED, mocha.identity)
    assert event.package.identity != event.identity


_TRIPLE = "def triple(number):\n    return 3 * number\n"
_WRITTEN = "from spans.triple import triple\n\n\ndef test_triples():\n    assert triple(2) == 6\n"


def _with_generated(sample: RepoPackage, place: Path, text: str) -> Path:
    """The sample's package with one instance: a commit without tests, and a test that was written for it."""
    package = Path(shutil.copytree(sample.directory, place))
    manifest, base = manifest_of(package), git(package / "repo", "rev-parse", "HEAD")
    commit = new_commit(package, {"src/spans/triple.py": _TRIPLE}, "Add a function that triples numbers")
    digest, test = sha256(text.encode()).hexdigest(), "tests/test_triple.py::test_triples"
    generated: Json = {
        "files": [{"path": "tests/test_triple.py", "sha256": digest}], "told_apart": {test: "assertion"},
        "instead_of": "no-fail-to-pass", "model": "x", "prompt_hash": "0" * 64, "answer_hash": "0" * 64, "round": 1,
    }  # fmt: skip
    instance: Json = {
        **manifest["instances"][0], "instance_id": f"{manifest['name']}__{commit[:12]}", "commit": commit,
        "base_commit": base, "task": "Add a function that triples numbers", "production_files": ["src/spans/triple.py"],
        "test_files": [], "symbols": [], "fail_to_pass": [test], "pass_to_pass": [], "build": None,
        "generated": generated,
    }  # fmt: skip
    for environment in manifest["environments"]:
        environment.pop("days_after", None)
    write_manifest(package, {**manifest, "head": commit, "instances": [instance, *manifest["instances"][:1]]})
    (package / "generated").mkdir()
    (package / "generated" / f"{digest}.py").write_text(text)
    return package


def test_generated_tests_that_hold_here_are_taken_in(sample: RepoPackage, runtime: Runtime, tmp_path: Path) -> None:
    package = _with_generated(sample, tmp_path / "medium" / "spans", _WRITTEN)
    context, event = _taken(package, runtime, tmp_path / "data", _cache(sample))
    assert (event.verdict, event.valid, event.lost) == (IntakeVerdict.ACCEPTED, 2, {})
    here = read_package(context.folders.corpus / "spans")
    instance = here.manifest.instances[0]
    assert instance.fail_to_pass == ("tests/test_triple.py::test_triples",)
    assert instance.generated is not None and set(instance.generated.told_apart) == set(instance.fail_to_pass)
    assert instance.pass_to_pass != ()  # what the suite has besides, which the manifest did not claim
    [again] = ingest(context, package, nobody)
    assert again.verdict is IntakeVerdict.ALREADY_HERE


def test_generated_tests_that_do_not_hold_lose_their_instance_alone(
    sample: RepoPackage, runtime: Runtime, tmp_path: Path
) -> None:
    package = _with_generated(sample, tmp_path / "medium" / "spans", _WRITTEN.replace("== 6", "== 7"))
    context, event = _taken(package, runtime, tmp_path / "data", _cache(sample))
    assert (event.verdict, event.valid, len(event.lost)) == (IntakeVerdict.ACCEPTED, 1, 1)
    instance = read_package(context.folders.corpus / "spans").manifest.instances[0]
    assert (instance.valid, instance.generated) == (False, None)


def test_a_part_of_a_suite_stays_a_part(sample: RepoPackage, runtime: Runtime, tmp_path: Path) -> None:
    package = Path(shutil.copytree(sample.directory, tmp_path / "medium" / "spans"))
    manifest = manifest_of(package)
    instance = next(each for each in manifest["instances"] if each["reason"] is None)
    files = sorted({file_of(test) for test in instance["fail_to_pass"]})
    instance["sampled"] = {"files": files, "affected": 0, "share": "0", "of": 3}
    instance["pass_to_pass"] = [test for test in instance["pass_to_pass"] if file_of(test) in files]
    write_manifest(package, {**manifest, "instances": [instance]})
    for environment in manifest["environments"]:
        environment.pop("days_after", None)
    write_manifest(package, {**manifest, "instances": [instance]})
    context, event = _taken(package, runtime, tmp_path / "data", _cache(sample))
    assert (event.verdict, event.valid, event.detail) == (IntakeVerdict.ACCEPTED, 1, "")
    here = read_package(context.folders.corpus / "spans").manifest.instances[0]
    assert here.sampled is not None
    assert (list(here.sampled.files), list(here.fail_to_pass)) == (files, instance["fail_to_pass"])
    assert {file_of(test) for test in here.pass_to_pass} <= set(files)
