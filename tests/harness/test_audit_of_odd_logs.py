"""Audits of logs that were cut short, or that hold what no version wrote: a finding or a named gap, never a crash."""

from pathlib import Path

import pytest

from harness.audit import AuditReport, audit_trajectory
from harness.audit.record import AttemptLog
from harness.audit.trajectory import ReplayPlace
from models.edits import EditFormat
from models.limits import LoopLimits
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage
from tests.support.pairs_material import Repository, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(Repository("lib"))
    return made


def audited(world: World, key: str) -> AuditReport:
    def place(log: AttemptLog) -> ReplayPlace:
        return ReplayPlace(None, LoopLimits(), world.folder)

    return audit_trajectory(world.raw, key, place)


def test_judgements_of_an_attempt_that_a_fault_cut_short_need_no_decisions(world: World) -> None:
    cut = world.run("lib-0").scope()
    assert [each.check for each in audited(world, cut.key).findings] == ["requests"]
    cut.close(OutcomeKind.PROVIDER_ERROR)
    report = audited(world, cut.key)
    assert [each.check for each in report.findings] == ["requests"]
    assert "judgements without decision" in report.not_checked
    whole = world.run("lib-1").scope().close(OutcomeKind.EDIT_REJECTED)
    assert {each.check for each in audited(world, whole.key).findings} == {"requests", "judgements"}


@pytest.mark.parametrize("stage", list(Stage))
def test_a_request_that_its_stage_cannot_render_is_a_finding(world: World, stage: Stage) -> None:
    bare = Request(stage=stage, task=world.task("lib-0"), edit_format=EditFormat.SEARCH_REPLACE)
    run = world.run("lib-0")
    run.recorder.call(bare, Answer(text="{}", model="m", prompt="[]"))
    run.close()
    report = audited(world, run.key)
    assert "prompts" in {each.check for each in report.findings} or "prompts" in report.not_checked


def test_a_prompt_that_is_none_is_a_finding(world: World) -> None:
    run = world.run("lib-0")
    run.recorder.call(Request(stage=Stage.META_PLAN, task=run.task), Answer(text="{}", model="m", prompt="hello"))
    run.close()
    assert "prompts" in {each.check for each in audited(world, run.key).findings}


def test_a_log_without_rows_is_audited(world: World) -> None:
    run = world.run("lib-0").close(OutcomeKind.EDIT_REJECTED)
    report = audited(world, run.key)
    assert report.findings == ()
    assert "replay" in report.not_checked
