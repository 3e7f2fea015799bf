"""Packages on their way into the corpus: accepted once, extended, not replaced by older ones, some for evaluation."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals.sets import reserve
from exchange.intake import integration
from exchange.intake.batch import ingest
from exchange.intake.context import IntakeContext
from exchange.intake.ledger import read_events
from flows.packages import corpus_packages
from harness.packages.contents import package_content
from harness.packages.package import RepoPackage, package_findings, read_package
from harness.packages.reach import misstated_reaches
from models.errors import InfrastructureError, MoveUnconfirmed
from models.intake import IntakeEvent, IntakeVerdict, RefusalReason
from models.settings import Settings
from runtime.trees import Runtime
from store.runs.corpus import register_package
from tests.support.hostile_base import Json, git, manifest_of, with_manifest, write_manifest
from tests.support.hostile_histories import new_commit
from tests.support.intake_material import files_in, intake_in, nobody, tree_of


@pytest.fixture
def context(runtime: Runtime, sample: RepoPackage, tmp_path: Path) -> IntakeContext:
    """An intake that knows the verdicts on the sample's commits."""
    return intake_in(tmp_path / "data", runtime, cache=sample.directory.parents[1] / "cache")


@pytest.fixture
def medium(sample: RepoPackage, tmp_path: Path) -> Path:
    """A medium with the sample package."""
    shutil.copytree(sample.directory, tmp_path / "medium" / "spans")
    return tmp_path / "medium"


def _one(context: IntakeContext, medium: Path) -> IntakeEvent:
    [event] = ingest(context, medium, nobody)
    return event


def _older(package: Path) -> None:
    """The state of the package at its oldest instance."""
    manifest = manifest_of(package)
    repo = package / "repo"
    order = git(repo, "rev-list", "HEAD").split()
    oldest = max(manifest["instances"], key=lambda each: order.index(each["commit"]))
    git(repo, "update-ref", "HEAD", oldest["commit"])
    used = {oldest["environment"], oldest["build"]}
    manifest["environments"] = [each for each in manifest["environments"] if each["key"] in used]
    _write_undated(package, {**manifest, "head": oldest["commit"], "instances": [oldest]})


def _write_undated(package: Path, manifest: Json) -> None:
    """Write a manifest that does not say how far its environments reach, as those of older packages."""
    for environment in manifest["environments"]:
        environment.pop("days_after", None)
    write_manifest(package, manifest)


def test_a_package_is_accepted_as_it_came_and_campaigns_find_it(
    context: IntakeContext, medium: Path, sample: RepoPackage
) -> None:
    before = tree_of(medium)
    event = _one(context, medium)
    assert (event.verdict, event.use, event.detail) == (IntakeVerdict.ACCEPTED, "training", "")
    assert event.valid == event.package.valid == sum(each.valid for each in sample.manifest.instances)
    assert event.identity == event.package.identity == sample.identity
    assert all(each.passed for each in event.checks)
    assert tree_of(medium) == before
    settings = Settings(corpus_dir=context.folders.corpus)
    assert corpus_packages([], settings) == [context.folders.corpus / "spans"]
    assert read_package(context.folders.corpus / "spans").manifest == sample.manifest
    assert package_findings(context.folders.corpus / "spans") == []
    assert files_in(context.folders.root) == ["ledger.jsonl", "lock"]
    again = _one(context, medium)
    assert (again.verdict, again.identity) == (IntakeVerdict.ALREADY_HERE, sample.identity)
    assert [each.check for each in again.checks][-1] == "copy"
    assert ingest(context, medium, nobody, once=True) == []
    assert read_events(context.folders) == [event, again]


def test_a_dry_run_moves_nothing(context: IntakeContext, medium: Path) -> None:
    event = _one(replace(context, dry_run=True), medium)
    assert (event.verdict, event.valid) == (IntakeVerdict.CHECKED, 3)
    assert not context.folders.corpus.exists()
    assert _one(context, medium).verdict is IntakeVerdict.ACCEPTED


def test_a_later_state_extends_what_is_here_and_an_earlier_one_is_refused(
    context: IntakeContext, medium: Path, sample: RepoPackage, tmp_path: Path
) -> None:
    old = Path(shutil.copytree(medium, tmp_path / "old"))
    _older(old / "spans")
    first = _one(context, old)
    assert (first.detail, first.verdict, first.valid) == ("", IntakeVerdict.ACCEPTED, 1)
    manifest = manifest_of(medium / "spans")
    kept = [each for each in manifest["instances"] if each["instance_id"] not in _instances(context)]
    _write_undated(medium / "spans", {**manifest, "instances": kept})
    second = _one(context, medium)
    assert (second.detail, second.verdict, second.package.valid, second.valid) == ("", IntakeVerdict.UPDATED, 2, 3)
    here = read_package(context.folders.corpus / "spans")
    assert here.identity == second.identity
    assert {each.instance_id for each in here.manifest.instances} == {
        each.instance_id for each in sample.manifest.instances
    }
    assert here.manifest.head == sample.manifest.head
    assert package_findings(here.directory) == [] and misstated_reaches(here) == []
    third = _one(context, old)
    assert third.reason is RefusalReason.DOWNGRADE
    assert read_package(context.folders.corpus / "spans").identity == second.identity


def _instances(context: IntakeContext) -> set[str]:
    return {each.instance_id for each in read_package(context.folders.corpus / "spans").manifest.instances}


def _rewritten(package: Path) -> None:
    """A history without the newest commit, and with another one instead."""
    git(package / "repo", "update-ref", "HEAD", "HEAD~1")
    commit = new_commit(package, {"notes.txt": "x\n"}, "Add notes")
    with_manifest(lambda manifest: manifest.update(head=commit))(package, package)


def _other_repository(package: Path) -> None:
    """A repository of the same name without a common commit."""
    tree = git(package / "repo", "rev-parse", "HEAD^{tree}")
    commit = git(package / "repo", "commit-tree", "-m", "Begin", tree)
    git(package / "repo", "update-ref", "HEAD", commit)
    git(package / "repo", "for-each-ref")
    with_manifest(lambda manifest: manifest.update(head=commit, instances=[], environments=[], wheels={}))(
        package, package
    )
    shutil.rmtree(package / "packages")
    (package / "packages").mkdir()


@pytest.mark.parametrize(
    ("craft", "reason"),
    [(_rewritten, RefusalReason.REWRITTEN), (_other_repository, RefusalReason.NAME_TAKEN)],
    ids=["rewritten", "another repository"],
)
def test_another_history_under_a_known_name_is_refused(
    craft: Callable[[Path], None], reason: RefusalReason, context: IntakeContext, medium: Path, sample: RepoPackage
) -> None:
    shutil.copytree(sample.directory, context.folders.corpus / "spans")
    craft(medium / "spans")
    assert _one(context, medium).reason is reason
    assert read_package(context.folders.corpus / "spans").identity == sample.identity


def _renamed(package: Path, name: str) -> None:
    """A package under another name, as a fork would be."""
    manifest = manifest_of(package)
    for instance in manifest["instances"]:
        instance["instance_id"] = instance["instance_id"].replace("spans__", f"{name}__")
    write_manifest(package, {**manifest, "name": name})


def test_a_reserved_repository_is_for_evaluation_and_its_copies_are_refused(
    context: IntakeContext, medium: Path, sample: RepoPackage, tmp_path: Path
) -> None:
    register_package(context.raw, sample.manifest, package_content(sample))
    assert reserve(context.curated, context.raw, ["spans"], "test") == ["spans"]
    copy = Path(shutil.copytree(medium, tmp_path / "copy"))
    _renamed(copy / "spans", "timespans")
    refused = _one(context, copy)
    assert refused.reason is RefusalReason.RESERVED_COPY
    assert "spans" in refused.detail
    event = _one(context, medium)
    assert (event.verdict, event.use) == (IntakeVerdict.ACCEPTED, "evaluation")


def test_what_a_manifest_claims_of_a_commit_is_derived_again(context: IntakeContext, medium: Path) -> None:
    """Tasks and tests that the history does not have are not in the corpus, nor are tests that a run did not show."""
    manifest = manifest_of(medium / "spans")
    lied, truth = manifest["instances"][0], dict(manifest["instances"][0])
    lied["task"] = "Delete everything"
    lied["fail_to_pass"], lied["pass_to_pass"] = lied["pass_to_pass"][:1], []
    write_manifest(medium / "spans", manifest)
    event = _one(context, medium)
    assert event.verdict is IntakeVerdict.ACCEPTED
    assert event.identity != event.package.identity
    here = read_package(context.folders.corpus / "spans").manifest.instances[0]
    assert (here.task, list(here.fail_to_pass)) == (truth["task"], truth["fail_to_pass"])
    assert list(here.pass_to_pass) == truth["pass_to_pass"]
    assert _one(context, medium).verdict is IntakeVerdict.ALREADY_HERE


def test_a_refused_copy_is_kept_only_when_asked_for(context: IntakeContext, medium: Path) -> None:
    (medium / "spans" / "timings.json").write_bytes(b"MZ")
    event = _one(replace(context, keep_refused=True), medium)
    assert event.reason is RefusalReason.EXECUTABLE
    assert (context.folders.refused / event.id).is_dir()
    assert files_in(context.folders.quarantine) == []


@pytest.mark.parametrize("step", ["sync_folder", "record"])
def test_a_move_that_the_disk_does_not_confirm_is_told_as_it_is(
    step: str, context: IntakeContext, medium: Path, sample: RepoPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is in the corpus: nothing says that it is not, and the next intake records it."""
    real = getattr(integration, step)

    def fails(*arguments: object) -> None:
        if step == "sync_folder" and arguments[0] == context.folders.root:
            real(*arguments)  # before the move
            return
        raise OSError(5, "Input/output error") if step == "sync_folder" else InfrastructureError("the disk is full")

    monkeypatch.setattr(integration, step, fails)
    for _ in range(2):  # and again, as long as the disk does not
        with pytest.raises(MoveUnconfirmed, match="is in the corpus"):
            ingest(context, medium, nobody)
        assert read_package(context.folders.corpus / "spans").identity == sample.identity
        assert read_events(context.folders) == []
    monkeypatch.undo()
    events = ingest(context, medium, nobody)
    assert [each.verdict for each in events] == [IntakeVerdict.ACCEPTED, IntakeVerdict.ALREADY_HERE]
    assert files_in(context.folders.root) == ["ledger.jsonl", "lock"]


def test_a_move_that_fails_leaves_the_corpus_as_it_was(
    context: IntakeContext, medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(integration, "rename_new", fails)
    event = _one(context, medium)
    assert (event.verdict, event.reason) == (IntakeVerdict.REFUSED, RefusalReason.MACHINE)
    assert list(context.folders.corpus.iterdir()) == []
    assert files_in(context.folders.root) == ["ledger.jsonl", "lock"]
