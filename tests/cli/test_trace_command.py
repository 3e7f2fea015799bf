"""One stage of a trace, for people and for machines."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.trace import of_stage, print_stage
from models.chat import Message, prompt_text
from models.manifest import Instance, Manifest, MiningFunnel
from models.protocols import Answer, Request, Stage, Task
from models.suite import SuiteEnd, SuiteReport
from store.database import open_database
from store.runs import RawStore, Trace

PROMPT = prompt_text((Message(role="system", content="Judge."), Message(role="user", content="[bold]a.py \x1b[2J")))


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    instance = Instance(
        instance_id="lib-0", commit="a" * 40, base_commit="b" * 40, task="Add it", planning_types=(),
        production_files=(), test_files=(),
    )  # fmt: skip
    manifest = Manifest(
        name="lib", source="lib", license=None, organisation=None, domain=None, head="c" * 40, python="3.11",
        test_command=(), lines_of_code=1, instances=(instance,),
        funnel=MiningFunnel(total=1, dropped={}, needs_message=0, kept=1, mixed=1),
    )  # fmt: skip
    store = RawStore(open_database(tmp_path / "raw.db", "raw"))
    campaign = store.register_campaign({})
    key = store.open_trajectory(campaign, store.register_package(manifest)["lib-0"], "student", "v1")
    assert store.begin_attempt(key) == 1
    recorder = store.recorder(key, 1)
    task = Task(text="Add it", repository="lib", base="b" * 40)
    said = Answer(text='{"files": []}', reasoning="hm", model="m", prompt=PROMPT, endpoint="here")
    recorder.call(Request(stage=Stage.SCOPE, task=task), said)
    recorder.decision(Stage.SCOPE, "a.py", "relevant", "named")
    recorder.tests("p/s attempt 0", SuiteReport(end=SuiteEnd.COMPLETED, exit_code=0, seconds=1.0))
    return store.trace(key, prompts=True)


def test_a_stage_is_its_questions_answers_and_what_they_led_to(trace: Trace) -> None:
    scope = of_stage(trace, Stage.SCOPE)
    assert [event.event for event in scope.events] == ["call", "decision"]
    assert scope.events[0].event == "call"
    assert (scope.events[0].prompt, scope.events[0].response) == (PROMPT, '{"files": []}')
    assert [event.event for event in of_stage(trace, Stage.CODE).events] == ["tests"]


def test_an_unknown_stage_is_refused_with_those_that_there_are() -> None:
    refused = CliRunner().invoke(app, ["trace", "0", "--stage", "scoop"], terminal_width=300)
    assert refused.exit_code == 2
    for word in ("--stage", "scoop", *Stage):
        assert word in refused.output


def test_what_a_repository_says_does_not_steer_the_terminal(trace: Trace, capsys: pytest.CaptureFixture[str]) -> None:
    print_stage(of_stage(trace, Stage.SCOPE))
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "[bold]a.py \\x1b[2J" in shown
    assert "Judge." in shown and "hm" in shown and "decided a.py: relevant (named)" in shown
