"""A repository under another name is known by its content, and what evaluation holds out stays out under any name."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from benchmarks.attacks._histories import History
from benchmarks.attacks.time_and_self import _library, _module
from evals.sets import copies_among, copy_of_reserved, reserved_repositories
from evals.sets.frozen import reserve
from harness.packages.contents import content_of, shared_code, shared_content, sketch_of
from models.content import RepositoryContent
from models.errors import DatabaseError, GuardrailError
from models.training import TrainingTarget
from store.database import DatabaseKind, alembic_config, open_database
from store.rows import writing
from store.runs.corpus import add_content
from tests.support.curation_material import dropped, lines, trained_on
from tests.support.pairs_material import Repository, World, gold_runs
from training.data.curation import curate
from training.data.curation.short import ShortTasks, telling


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def content(tmp_path: Path, name: str, files: dict[str, str]) -> RepositoryContent:
    history = History(tmp_path / name)
    history.commit(files, "2024-01-01")
    return content_of(history.git, [history.git.resolve("HEAD")])


def know(world: World, name: str, known: RepositoryContent) -> None:
    with writing(world.raw.engine) as connection:
        add_content(connection, name, known)


def test_a_copy_of_a_reserved_repository_is_not_trained_on(world: World, tmp_path: Path) -> None:
    gold_runs(world, Repository("one"), Repository("held"), Repository("fork"))
    know(world, "held", content(tmp_path, "held", _library()))
    know(
        world, "fork", content(tmp_path, "fork", {f"other/{n}.py": text for n, text in enumerate(_library().values())})
    )
    know(world, "one", content(tmp_path, "one", _library(range(50, 62))))
    reserve(world.curated, world.raw.engine, ["held"], "to evaluate on")
    assert set(reserved_repositories(world.curated, world.raw.engine)) == {"held", "fork"}
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE))
    assert made.card.repositories == {"one": 4}
    assert dropped(made)["copy of a reserved repository"] == 4
    assert {line["provenance"]["repository"] for line in lines(made)} == {"one"}


def test_what_a_reserved_repository_is_stays_known_without_the_raw_database(world: World, tmp_path: Path) -> None:
    known = content(tmp_path, "held", _library())
    know(world, "held", known)
    reserve(world.curated, world.raw.engine, ["held"], "to evaluate on")
    other = World(tmp_path / "other")
    assert "'held'" in copy_of_reserved(world.curated, other.raw.engine, known)
    assert copy_of_reserved(world.curated, other.raw.engine, content(tmp_path, "b", _library(range(50, 62)))) == ""


def test_a_repository_whose_copy_was_trained_on_cannot_be_reserved(world: World, tmp_path: Path) -> None:
    gold_runs(world, Repository("fork"), Repository("other"))
    trained_on(world, curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)))
    for name in ("fork", "held"):
        know(world, name, content(tmp_path, name, _library()))
    with pytest.raises(GuardrailError, match=r"held-out: .*'fork'"):
        reserve(world.curated, world.raw.engine, ["held"], "to evaluate on")
    assert reserved_repositories(world.curated, world.raw.engine) == {}


def test_databases_that_know_no_content_tell_copies_by_their_commits(world: World) -> None:
    gold_runs(world, Repository("held"))
    held = Repository("held")
    assert copies_among(world.raw.engine, ["held"]) == {}
    twin = Repository("twin")
    manifest = twin.manifest()
    shared = manifest.instances[0].model_copy(update={"commit": held.instance(0).commit})
    world.raw.register_package(manifest.model_copy(update={"instances": (shared, *manifest.instances[1:])}))
    assert set(copies_among(world.raw.engine, ["held"])) == {"twin"}


@pytest.mark.parametrize(("kind", "version"), [("raw", "raw_0006"), ("curated", "curated_0003")])
def test_databases_of_the_version_before_are_brought_up_to_date_and_keep_what_they_hold(
    tmp_path: Path, kind: DatabaseKind, version: str
) -> None:
    made = "2026-01-01 00:00:00"
    engine = create_engine(f"sqlite:///{tmp_path / kind}.db")
    with engine.begin() as connection:
        config = alembic_config(kind)
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        if kind == "curated":
            connection.execute(text(f"INSERT INTO reservations VALUES ('held', 'r', '{made}')"))
        else:
            connection.execute(text(f"INSERT INTO campaigns (id, config, created_at) VALUES ('c', '{{}}', '{made}')"))
    opened = open_database(tmp_path / f"{kind}.db", kind)
    raw = opened if kind == "raw" else open_database(tmp_path / "other.db", "raw")
    curated = opened if kind == "curated" else open_database(tmp_path / "other.db", "curated")
    assert reserved_repositories(curated, raw) == ({"held": "r"} if kind == "curated" else {})
    with opened.connect() as connection:
        table = "reservations" if kind == "curated" else "campaigns"
        assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 1


def test_what_is_known_of_content_cannot_be_changed(world: World, tmp_path: Path) -> None:
    know(world, "held", content(tmp_path, "held", _library()))
    reserve(world.curated, world.raw.engine, ["held"], "to evaluate on")
    for engine, table in ((world.raw.engine, "repository_contents"), (world.curated, "reserved_contents")):
        for change in (f"DELETE FROM {table}", f"UPDATE {table} SET repository = 'other'"):
            with pytest.raises(DatabaseError, match="append-only"), writing(engine) as connection:
                connection.execute(text(change))


def test_little_code_is_not_compared() -> None:
    tiny = sketch_of(["import os\nprint(os.name)\n"] * 3)
    assert (tiny.sketch, shared_content(tiny, tiny)) == ((), "")


def test_vendored_and_common_files_do_not_make_kin(tmp_path: Path) -> None:
    common = {f"src/x/_vendor/v{n}.py": _module(n + 900) for n in range(20)}
    common |= {"versioneer.py": _module(990), "LICENSE": "Permission is hereby granted " * 200}
    one = content(tmp_path, "one", {**_library(range(6)), **common})
    other = content(tmp_path, "other", {**_library(range(20, 26)), **common})
    assert shared_code(one, other) < 0.05


def test_a_line_that_every_log_holds_tells_nothing() -> None:
    tasks = ShortTasks(["Fix typo", "Update README", "Add tests", "Bump version (#12)", "Fix tests on Windows"])
    for said in ("Fix typo", "fix typos", "Update readme", "Add tests", "Bump version", "Fix tests on Windows"):
        assert not tasks.know(said), said
    assert telling("fix(api): Handle the Empty names (#3)") == ("empty", "name")


def test_short_tasks_that_differ_in_a_telling_word_are_two() -> None:
    tasks = ShortTasks(["Reject negative retry counts"])
    assert not tasks.know("Reject negative retry delays")
    assert not tasks.know("Reject negative counts")
    assert tasks.know("reject negative retry counts")
