"""What `cra campaign` finds out before an engine starts: that nothing is left, that a model or the server is away."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage
from harness.runs.campaign_context import assignments, open_campaign_context
from harness.runs.campaigns import campaign_config
from host.settings import load_settings
from models.campaign_settings import Grid, StepTestMode
from models.outcomes import OutcomeKind
from runtime.trees import Runtime
from store.runs import open_raw_store
from tests.support.bad_server import ScriptedServer

AWAY = "http://127.0.0.1:9/api"
RUN = """
import sys
sys.argv = ["cra", *sys.argv[1:]]
from cli.main import main
try:
    main()
finally:
    print("prefect" in sys.modules, file=sys.stderr)
"""


def campaign(root: Path, package: RepoPackage, *arguments: str, **variables: str) -> tuple[int, str, str, bool]:
    """Exit code, output, and messages of a campaign, and whether it imported the engine, whose server is away."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRA_")}
    places = {"CRA_DATA_DIR": str(root / "data"), "CRA_CACHE_DIR": str(root / "cache"), "PREFECT_API_URL": AWAY}
    done = subprocess.run(
        [sys.executable, "-c", RUN, "campaign", str(package.directory), "--limit", "1", *arguments],
        cwd=root, env={**kept, **places, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    *said, imported = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, "\n".join(said), imported == "True"


def close(package: RepoPackage, runtime: Runtime, grid: Grid) -> None:
    """Record that every trajectory of a campaign passed, with the settings of this process."""
    settings = load_settings()
    store = open_raw_store(settings.raw_url)
    context = open_campaign_context(settings, store, None, StepTestMode.AUTO)
    config = campaign_config([package], grid, None, StepTestMode.AUTO, settings, runtime.sandbox.kind)
    campaign_id = store.register_campaign(config)
    store.start_run(campaign_id, "first", "1", [str(package.directory)])
    for each in assignments(campaign_id, package, grid, context, runtime):
        number = store.begin_attempt(each.key)
        assert number is not None
        store.close_trajectory(each.key, number, OutcomeKind.PASSED)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with its own data; settings without a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def student(url: str, **settings: object) -> None:
    """Write cra.toml with one endpoint for the student."""
    values = {"url": f'"{url}"', "model": '"scripted"', **settings}
    lines = ["[models.endpoints.here]", *(f"{name} = {value}" for name, value in values.items())]
    Path("cra.toml").write_text("\n".join([*lines, "[models.roles]", 'reasoning = "here"', 'coding = "here"\n']))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_a_campaign_with_nothing_left_is_reported_and_recorded_without_an_engine(
    sample: RepoPackage, runtime: Runtime, place: Path
) -> None:
    close(sample, runtime, Grid(planners=("gold", "null"), limit=1))
    code, printed, _, imported = campaign(
        place, sample, "--planner", "gold", "--planner", "null", "--name", "again", "--json"
    )
    assert (code, imported) == (0, False)
    report = json.loads(printed)
    assert {name: (each["passed"], each["open"]) for name, each in report["planners"].items()} == {
        "gold": (1, 0), "null": (1, 0),
    }  # fmt: skip
    store = open_raw_store(load_settings().raw_url)
    assert store.report("again").campaign_id == store.report("first").campaign_id == report["campaign_id"]
    assert store.package_directories("again") == [sample.directory]


def test_one_open_trajectory_needs_the_engine_and_a_server_that_is_away_is_named(
    sample: RepoPackage, runtime: Runtime, place: Path
) -> None:
    close(sample, runtime, Grid(planners=("null",), limit=1))
    code, printed, said, imported = campaign(place, sample, "--planner", "null", "--planner", "gold")
    assert (code, printed, imported) == (1, "", True)
    assert AWAY in said.splitlines()[-1]


def test_closed_trajectories_of_another_model_do_not_end_a_campaign(
    sample: RepoPackage, runtime: Runtime, place: Path
) -> None:
    with ScriptedServer("never asked", window=32_000) as server:
        student(server.url)
        close(sample, runtime, Grid(planners=("student",), limit=1))
        assert campaign(place, sample, "--planner", "student", "--yes")[0] == 0
        student(server.url, revision='"2"')
        code, _, said, imported = campaign(place, sample, "--planner", "student", "--yes")
        assert (code, imported) == (1, True)
        assert AWAY in said
        assert server.requests == []


@pytest.mark.parametrize("window", [{}, {"window": 32_000}])
def test_a_model_that_is_away_ends_a_campaign_before_an_engine_starts(
    sample: RepoPackage, place: Path, window: dict[str, int]
) -> None:
    student(f"http://127.0.0.1:{free_port()}/v1", **window)
    code, _, said, imported = campaign(place, sample, "--planner", "student", "--yes")
    assert (code, imported) == (1, False)
    assert "'here'" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("settings", "named"), [({"window": 64_000}, "window"), ({"api_key_env": '"CRA_TEST_NO_KEY"'}, "CRA_TEST_NO_KEY")]
)
def test_a_model_that_cannot_be_asked_as_it_is_set_ends_a_campaign_before_an_engine_starts(
    sample: RepoPackage, place: Path, settings: dict[str, object], named: str
) -> None:
    with ScriptedServer("never asked", window=32_000) as server:
        student(server.url, **settings)
        code, _, said, imported = campaign(place, sample, "--planner", "student", "--yes")
        assert (code, imported) == (2, False)
        assert named in said.splitlines()[-1]
        assert server.requests == []


def test_gold_is_run_though_the_models_are_away(sample: RepoPackage, place: Path) -> None:
    student(f"http://127.0.0.1:{free_port()}/v1")
    code, _, said, imported = campaign(place, sample, "--planner", "gold")
    assert (code, imported) == (1, True)
    assert AWAY in said
