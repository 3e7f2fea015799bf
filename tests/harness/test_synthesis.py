"""Pairs from commits without a test run: the prompts of a student, gold's answers, nothing doubled, nothing untrue."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from agent.edits.parse import parse_edits
from agent.retrieve.judgements import parse_scope
from harness.packages.gold_patch import read_gold_patch
from harness.planners import GoldPlanner
from harness.synthesis import worker
from harness.synthesis.commit import GUIDED, NOT_REPRODUCED, PLAIN, TOO_LARGE, UNSUPPORTED, WORK, trajectories_of
from harness.synthesis.recording import Recording
from harness.synthesis.run import RepositoryReport, synthesize
from harness.synthesis.worker import DirectSettings
from harness.synthesis.workspace import MemoryWorkspace
from models.context import Candidate, CandidateTier
from models.edits import CreateFile, EditFormat, SearchReplace
from models.errors import RepositoryError, SettingsError, UsageError
from models.files import FileContent
from models.llm_settings import EMBEDDED, Endpoint, ModelSettings, embedded_endpoint
from models.mining import MiningRules
from models.protocols import Answer, Request, Stage, Task
from repos.git import Git
from repos.sources import GitSource
from store.database import open_database, reading
from store.runs import open_raw_store
from store.runs.attempts import stored_calls
from store.runs.closed_runs import read_runs
from store.tables import TaskRun, table_of
from store.texts import read_texts
from tests.support.direct_material import ENTRIES, PACKAGE, SIGNED, STRIPPED, repository, run, settings_in
from tests.support.fitting_data import tiny_base
from tests.support.mining_history import Entry
from training.bases.bases import add_base


def calls_of(folder: Path, stage: Stage) -> list[tuple[str, str]]:
    """Prompts and answers of a stage, as stored."""
    with reading(open_raw_store(str(folder / "raw.sqlite")).engine) as connection:
        found = [call for each in read_runs(connection) for call in stored_calls(connection, each.key, [stage])]
        texts = read_texts(connection, {text for call in found for text in (call.prompt or "", call.response)})
    return [(texts[call.prompt or ""], texts[call.response]) for call in found]


def test_every_stage_has_pairs_and_the_edits_are_the_commits(tmp_path: Path) -> None:
    report = run(tmp_path, repository(tmp_path / "spans.git"))
    counts = report.total
    assert counts.commits == 3
    assert set(counts.calls) == {stage.value for stage in Stage}
    assert not counts.refused
    written = [edit for _, answer in calls_of(tmp_path, Stage.CODE) for edit in parse_edits(answer)]
    assert any(isinstance(edit, SearchReplace) and "strip" in edit.replace for edit in written)


def test_a_prompt_holds_nothing_of_the_commit_or_what_came_after(tmp_path: Path) -> None:
    later = Entry("Make parse shout", {"src/spans/parse.py": SIGNED.replace("sign * int", "loudest * int")})
    run(
        tmp_path, repository(tmp_path / "spans.git", [*ENTRIES[:2], later]), settings=settings_in(tmp_path, Stage.SCOPE)
    )
    prompts = [prompt for prompt, _ in calls_of(tmp_path, Stage.SCOPE)]
    assert prompts
    assert not any(
        "loudest" in prompt or "Make parse shout" in prompt.partition("# Candidate")[2] for prompt in prompts
    )


def test_pairs_of_a_source_of_their_own_are_traceable_to_their_commit(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    run(tmp_path, place)
    with reading(open_raw_store(str(tmp_path / "raw.sqlite")).engine) as connection:
        runs = list(read_runs(connection))
    commits = set(Git(place).text("rev-list", "--max-count=3", "main").split())
    assert {each.instance.commit for each in runs} == commits
    assert {(each.source.value, each.oracle, each.outcome.value, each.passed) for each in runs} == {
        ("synthetic-direct", None, "untested", False)
    }


def test_a_second_run_does_nothing_twice_and_takes_what_is_new(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    first = run(tmp_path, place, limit=2)
    again = run(tmp_path, place)
    assert (first.total.commits, again.total.commits, again.total.done_before) == (2, 1, 2)
    assert run(tmp_path, place).total.calls.total() == 0
    whole = tmp_path / "whole"
    whole.mkdir()
    assert run(whole, place).total.calls == first.total.calls + again.total.calls


def interrupted(folder: Path, place: Path, settings: DirectSettings) -> None:
    """A run that ends when its trajectories are recorded, before any is worked on."""

    def stop(report: RepositoryReport, commits: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize([place], settings, MiningRules(), progress=stop)


def test_a_commit_that_another_process_works_on_is_left_to_it(tmp_path: Path) -> None:
    place, settings = repository(tmp_path / "spans.git"), settings_in(tmp_path, Stage.SCOPE)
    interrupted(tmp_path, place, settings)
    store = open_raw_store(settings.raw_url)
    with reading(store.engine) as connection:
        keys = list(connection.scalars(select(table_of(TaskRun).c.id)))
    taken = store.claim(dict.fromkeys(keys, 0), len(keys)).taken
    assert sorted(taken) == sorted(keys)
    counts = run(tmp_path, place, settings=settings).total
    assert (counts.held, counts.commits, counts.calls.total()) == (3, 0, 0)
    store.release(keys)
    assert run(tmp_path, place, settings=settings).total.commits == 3


def test_a_commit_that_ends_in_a_bug_is_counted_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, settings = repository(tmp_path / "spans.git"), settings_in(tmp_path, Stage.SCOPE)
    with monkeypatch.context() as broken:
        broken.setattr(worker, "pairs_of", lambda *given: 1 / 0)
        counts = run(tmp_path, place, settings=settings).total
    assert (counts.commits, counts.refused.total()) == (0, 3)
    assert run(tmp_path, place, settings=settings).total.commits == 3


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    steps = [
        Entry(f"Let parse add {n}", {"src/spans/parse.py": STRIPPED.replace("return int", f"return {n} + int")})
        for n in range(24)
    ]
    place = repository(tmp_path / "spans.git", [*ENTRIES[:2], *steps])
    command = [sys.executable, "-c", "from cli.main import main; main()", "synthesize", str(place)]
    command += ["--stages", "scope", "--jobs", "2"]
    places = {"CRA_DATA_DIR": str(tmp_path / "data"), "CRA_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.Popen(command, env=os.environ | places, cwd=tmp_path, stderr=subprocess.DEVNULL)
    raw = tmp_path / "data" / "raw.sqlite"
    while process.poll() is None and not (raw.exists() and closed_runs(raw)):
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = closed_runs(raw)
    again = subprocess.run([*command, "--json"], env=os.environ | places, cwd=tmp_path, check=True, capture_output=True)
    done = json.loads(again.stdout)
    assert done["total"]["commits"] + done["total"]["done_before"] == 25
    assert closed_runs(raw) == 50 >= before > 0
    (tmp_path / "fresh").mkdir()
    fresh = settings_in(tmp_path / "fresh", Stage.SCOPE)
    edit_format = ModelSettings().endpoint(EMBEDDED).edit_format
    run(tmp_path / "fresh", place, settings=fresh.model_copy(update={"edit_format": edit_format}))
    assert sorted(calls_of(tmp_path / "data", Stage.SCOPE)) == sorted(calls_of(tmp_path / "fresh", Stage.SCOPE))


def closed_runs(raw: Path) -> int:
    with reading(open_raw_store(str(raw)).engine) as connection:
        return len(list(read_runs(connection)))


def test_one_process_and_several_give_the_same_pairs(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    for name, jobs in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        run(tmp_path / name, place, settings=settings_in(tmp_path / name, Stage.SCOPE, Stage.CODE), jobs=jobs)
    for stage in (Stage.SCOPE, Stage.CODE):
        assert sorted(calls_of(tmp_path / "one", stage)) == sorted(calls_of(tmp_path / "two", stage))


def test_stages_are_chosen_with_the_trajectories_that_have_them() -> None:
    assert trajectories_of([Stage.TASK_ANALYSIS]) == (PLAIN,)
    assert trajectories_of([Stage.PRECISION]) == (PLAIN, GUIDED)
    assert trajectories_of([Stage.CODE]) == (WORK,)
    assert trajectories_of(Stage) == (PLAIN, GUIDED, WORK)


def test_what_edits_cannot_express_is_refused_with_its_reason(tmp_path: Path) -> None:
    code = "src/spans/parse.py"
    entries = [
        *ENTRIES[:2],
        Entry("Write the parser in Latin", {code: SIGNED.encode() + b"# \xe9\n"}),
    ]
    place = repository(tmp_path / "spans.git", entries)
    refused = run(tmp_path, place).total.refused
    assert refused["commit", UNSUPPORTED] >= 1
    assert run(tmp_path, place).total.commits == 0  # what was refused is not tried again


def test_a_file_of_a_million_lines_is_refused_if_it_changes_and_listed_if_not(tmp_path: Path) -> None:
    large = "x = 1\n" * 1_000_000
    entries = [
        Entry("Add the package of spans", {**PACKAGE, "src/spans/table.py": large}),
        Entry("Strip the text before parse reads it", {"src/spans/parse.py": STRIPPED}),
        Entry("Add a row to the table", {"src/spans/table.py": large + "x = 2\n"}),
    ]
    counts = run(
        tmp_path, repository(tmp_path / "spans.git", entries), settings=settings_in(tmp_path, Stage.SCOPE)
    ).total
    assert counts.refused == {("commit", TOO_LARGE): 1}
    assert counts.calls["scope"] > 0


@pytest.mark.parametrize("entries", [ENTRIES[:1], [*ENTRIES[:1], Entry("wip", {"src/spans/parse.py": STRIPPED})]])
def test_a_repository_without_a_kept_commit_gives_nothing(tmp_path: Path, entries: list[Entry]) -> None:
    report = run(tmp_path, repository(tmp_path / "spans.git", entries))
    [each] = report.repositories
    assert (each.kept, each.lost, report.total.calls.total()) == (0, len(entries), 0)


def test_a_path_that_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        run(tmp_path, tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RepositoryError):
        run(tmp_path, tmp_path / "folder")


def test_a_base_that_is_not_registered_and_a_tokenizer_that_is_none_are_named(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    with pytest.raises(SettingsError, match="ghost"):
        run(tmp_path, place, settings=settings_in(tmp_path).model_copy(update={"base": "ghost"}))
    (tmp_path / "tokenizer.json").write_text("{}")
    own = embedded_endpoint().model_copy(update={"tokenizer": str(tmp_path / "tokenizer.json")})
    with pytest.raises(SettingsError, match="tokenizer"):
        run(tmp_path, place, settings=settings_in(tmp_path, models=ModelSettings(endpoints={EMBEDDED: own})))


def test_a_tokenizer_that_is_not_that_of_the_base_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tiny = tiny_base(tmp_path / "base")
    engine = open_database(str(tmp_path / "curated.sqlite"), "curated")
    add_base(engine, tmp_path / "data", tiny.path, "tiny")
    Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")).save(str(tmp_path / "other.json"))

    def models(tokenizer: Path) -> ModelSettings:
        here = Endpoint(url="http://127.0.0.1:9/v1", model="m", window=8192, base="tiny", tokenizer=str(tokenizer))
        return ModelSettings(endpoints={"here": here}, roles={"reasoning": "here", "coding": "here"})

    place = repository(tmp_path / "spans.git")
    with pytest.raises(SettingsError, match=r"other\.json is not the tokenizer of its base 'tiny'"):
        run(tmp_path, place, settings=settings_in(tmp_path, models=models(tmp_path / "other.json")))
    same = settings_in(tmp_path, Stage.SCOPE, models=models(tiny.path / "tokenizer.json"))
    assert run(tmp_path, place, settings=same).total.calls["scope"] > 0


def test_batches_follow_the_window_and_the_longest_answer_of_the_student(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    sizes = {}
    for name, endpoint in (("long", {}), ("short", {"answer_tokens": 64})):
        (tmp_path / name).mkdir()
        here = Endpoint(url="http://127.0.0.1:9/v1", model="m", window=8192, **endpoint)
        models = ModelSettings(endpoints={"here": here}, roles={"reasoning": "here", "coding": "here"})
        sizes[name] = run(
            tmp_path / name, place, settings=settings_in(tmp_path / name, Stage.SCOPE, models=models)
        ).total.calls["scope"]
    assert sizes["short"] > sizes["long"]


def test_calls_over_the_window_and_answers_that_cannot_be_read_are_left_out() -> None:
    from harness.planners.student import StudentLimits

    recording = Recording(frozenset(Stage), StudentLimits())
    task = Task(text="t", repository="r", base="b")
    offered = (Candidate(path="a.py", score=1.0, tier=CandidateTier.LEXICAL, reason="words"),)
    request = Request(stage=Stage.SCOPE, task=task, candidates=offered)
    recording.call(request, Answer(text="none", model="gold", prompt="p", prompt_tokens=40_000))
    recording.call(request, Answer(text="none", model="gold", prompt="p", prompt_tokens=10))
    recording.decision(Stage.SCOPE, "task", "malformed", "no JSON")
    assert recording.calls == []
    assert recording.events == []
    assert sum(recording.refused.values()) == 2


def test_a_recording_of_wrong_edits_keeps_the_judgements(tmp_path: Path) -> None:
    from harness.planners.student import StudentLimits

    recording = Recording(frozenset(Stage), StudentLimits())
    task = Task(text="t", repository="r", base="b")
    recording.call(Request(stage=Stage.TASK_ANALYSIS, task=task), Answer(text="{}", model="gold"))
    recording.call(Request(stage=Stage.META_PLAN, task=task), Answer(text="{}", model="gold"))
    recording.drop([Stage.META_PLAN], NOT_REPRODUCED)
    assert [request.stage for request, _ in recording.calls] == [Stage.TASK_ANALYSIS]
    assert recording.refused == {("meta_plan", NOT_REPRODUCED): 1}


def test_a_workspace_in_memory_applies_edits_all_or_nothing(tmp_path: Path) -> None:
    git = Git(repository(tmp_path / "spans.git"))
    head = git.resolve("main")
    known = {"src/spans/show.py": FileContent(PACKAGE["src/spans/show.py"])}
    workspace = MemoryWorkspace(GitSource(git, head), known)
    new = CreateFile(path="src/spans/new.py", content="y = 1\n")
    bad = SearchReplace(path="src/spans/show.py", search="no such line\n", replace="x\n")
    assert any(result.error for result in workspace.apply([new, bad]))
    assert workspace.changed() == {}
    assert not any(result.error for result in workspace.apply([new]))
    assert set(workspace.changed()) == {"src/spans/new.py"}
    assert "src/spans/new.py" in workspace.paths()
    assert workspace.apply([CreateFile(path="src/spans", content="")])[0].error
    assert workspace.read("pyproject.toml") == PACKAGE["pyproject.toml"]
    assert "new file mode" in workspace.patch()


def test_the_answer_is_that_of_the_gold_planner(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    run(tmp_path, place, settings=settings_in(tmp_path, Stage.META_PLAN), limit=1)
    git = Git(place)
    planner = GoldPlanner(read_gold_patch(git, git.resolve("main")), EditFormat.SEARCH_REPLACE)
    [(_, answer)] = calls_of(tmp_path, Stage.META_PLAN)
    assert json.loads(answer) == planner.plan.meta.model_dump(mode="json")
    assert parse_scope('{"files": {}}', ()) == []
