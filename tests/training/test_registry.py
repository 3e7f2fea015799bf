"""The registry: immutable versions, one alias per target, and what it refuses."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.errors import GuardrailError, RegistryError
from models.evaluation import GateVerdict
from models.training import TrainingTarget
from store.database import open_database
from tests.support.registry_material import (
    flip,
    fresh,
    make_adapter,
    make_base,
    register,
    report,
    serving,
    write_safetensors,
)
from training.adapters.registry import Registry

if TYPE_CHECKING:
    from sqlalchemy import Engine


def test_versions_are_numbered_by_target_and_the_same_weights_are_one(registry: Registry, tmp_path: Path) -> None:
    one, again = (register(registry, make_adapter(tmp_path / name)) for name in ("a", "b"))
    other = fresh(registry, tmp_path, 2.0)
    code = fresh(registry, tmp_path, 3.0, TrainingTarget.CODE)
    assert again == one
    assert [version.name for version in registry.list()] == ["code-v1", "scope-v1", "scope-v2"]
    assert one.path == tmp_path / "adapters" / "scope" / one.id
    assert other.served == f"scope-v2-{other.id[:12]}"
    assert registry.show(code.served) == registry.show(code.id[:10]) == code
    with pytest.raises(RegistryError, match="as scope-v1"):
        register(registry, tmp_path / "a", TrainingTarget.CODE)
    with pytest.raises(RegistryError, match="no adapter 'scope-v9'; known: code-v1"):
        registry.show("scope-v9")


def test_what_is_registered_cannot_be_written(local: Registry, tmp_path: Path) -> None:
    version = fresh(local, tmp_path, 1.0)
    modes = {file.name: file.stat().st_mode & 0o777 for file in version.path.iterdir()}
    assert modes == dict.fromkeys(
        ("adapter_config.json", "adapter_model.safetensors", "statement.json", "statement.sig"), 0o444
    )
    assert version.path.stat().st_mode & 0o777 == 0o555
    assert (local.keys / "signing-key.pem").stat().st_mode & 0o777 == 0o600
    assert not [name for name in dir(local) if "delete" in name or "remove" in name]


def test_a_promotion_moves_the_alias_and_says_why(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote("scope-v2", report(two, one))
    registry.promote(two, report(two, one))  # again, as after a restart
    assert serving(registry) == "scope-v2"
    log = registry.log(TrainingTarget.SCOPE)
    assert [(row.action, row.adapter, row.serving) for row in log] == [
        ("promote", one.id, one.id),
        ("promote", two.id, two.id),
    ]
    assert log[1].report["verdict"] == "promote"
    assert log[1].override is None


def test_no_promotion_without_a_passing_report_about_it(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    with pytest.raises(GuardrailError, match="gate: no passing report on scope-v1"):
        registry.promote(one)
    with pytest.raises(GuardrailError, match="did not pass"):
        registry.promote(one, report(one, None, GateVerdict.INCONCLUSIVE))
    with pytest.raises(RegistryError, match="scope-v2, not on scope-v1"):
        registry.promote(one, report(two, None))
    registry.promote(two, report(two, None))
    with pytest.raises(GuardrailError, match="passed against tiny"):
        registry.promote(one, report(one, None))
    registry.promote(one, override=" the gate's set is stale ")
    assert serving(registry) == "scope-v1"
    assert registry.log()[-1].override == "the gate's set is stale"
    registry.rollback(TrainingTarget.SCOPE, "worse")
    registry.rollback(TrainingTarget.SCOPE, "worse still")
    assert serving(registry) is None
    with pytest.raises(GuardrailError, match=r"scope-v2 was rolled back \(worse still\)"):
        registry.promote(two)  # it passed against the base, but was rolled back since
    registry.promote(two, report(two, None))
    assert serving(registry) == "scope-v2"


def test_only_who_still_serves_is_taken_back(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote(two, report(two, one))
    registry.rollback(TrainingTarget.SCOPE, "a person decided, while whole runs judged it")
    assert not registry.take_back(two, "whole runs are worse")
    assert serving(registry) == "scope-v1"
    assert registry.take_back(one, "whole runs are worse")
    assert serving(registry) is None
    assert [entry.action for entry in registry.log()] == ["promote", "promote", "rollback", "rollback"]


def test_a_later_report_against_who_serves_outweighs_an_earlier_one(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote(two, report(two, one))
    registry.rollback(TrainingTarget.SCOPE, "worse")
    registry.reject(two, report(two, one, GateVerdict.REJECT))  # by a newer set
    with pytest.raises(GuardrailError, match="scope-v2 did not pass"):
        registry.promote(two)
    assert serving(registry) == "scope-v1"


def test_a_gate_that_does_not_pass_leaves_the_champion(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    for _ in range(2):
        registry.reject(two, report(two, one, GateVerdict.REJECT))
    registry.inconclusive(two, report(two, one, GateVerdict.INCONCLUSIVE))
    registry.refuse(TrainingTarget.SCOPE, "rounds: two without fresh repositories")
    assert serving(registry) == "scope-v1"
    assert [row.action for row in registry.log()] == ["promote", "reject", "inconclusive", "refuse"]
    assert {row.serving for row in registry.log()} == {one.id}


def test_rollback_goes_back_one_by_one_to_the_base(registry: Registry, tmp_path: Path) -> None:
    versions = [fresh(registry, tmp_path, float(mark)) for mark in (1, 2, 3)]
    for version in versions:
        registry.promote(version, override="trial")
    assert registry.rollback(TrainingTarget.SCOPE, "worse") == registry.show("scope-v2")
    registry.promote("scope-v3", override="trial")
    names = [getattr(registry.rollback(TrainingTarget.SCOPE, "worse"), "name", None) for _ in range(3)]
    assert names == ["scope-v2", "scope-v1", None]
    with pytest.raises(RegistryError, match="no adapter is active"):
        registry.rollback(TrainingTarget.SCOPE, "worse")


def test_rollback_passes_over_what_is_damaged(local: Registry, tmp_path: Path) -> None:
    one, two, three = (fresh(local, tmp_path, float(mark)) for mark in (1, 2, 3))
    for version in (one, two, three):
        local.promote(version, override="trial")
    flip(two.path / "adapter_model.safetensors")
    assert local.rollback(TrainingTarget.SCOPE, "worse") == local.show("scope-v1")
    assert local.log()[-1].reason == "worse (passed over: scope-v2 is not intact)"
    assert one.id == local.log()[-1].serving


def test_what_a_stopped_registration_left_is_set_aside(local: Registry, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a")
    first = register(local, folder)
    with local._curated.begin() as connection:
        connection.exec_driver_sql("DELETE FROM adapter_metadata")
    assert register(local, folder).id == first.id  # the directory was whole: it is taken as it is
    with local._curated.begin() as connection:
        connection.exec_driver_sql("DELETE FROM adapter_metadata")
    flip(first.path / "adapter_model.safetensors")
    register(local, folder)
    local.verify("scope-v1")
    assert len(list((tmp_path / "adapters" / "scope").glob(".set-aside-*"))) == 1


def _register_one(target: str, root: Path, mark: float) -> int:
    registry = Registry(open_database(target, "curated"), root)
    return fresh(registry, root, mark).version


def test_numbers_stay_apart_when_many_register_at_a_time(database_target: str, tmp_path: Path) -> None:
    make_base(open_database(database_target, "curated"), tmp_path)
    marks = [1.0, 2.0, 3.0, 3.0, 4.0]
    # A forked process would close the connections that it inherited, and SQLite's files under those that use them.
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        numbers = list(pool.map(_register_one, [database_target] * 5, [tmp_path] * 5, marks))
    assert sorted(set(numbers)) == [1, 2, 3, 4]
    assert numbers[2] == numbers[3]


def _promote_and_die(target: str, root: Path, mark: str) -> None:
    """Promote, and be killed behind the first statement that begins with `mark`, or just before the commit."""
    from sqlalchemy import event

    curated = open_database(target, "curated")

    def behind(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(mark):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(curated, "after_cursor_execute", behind)
    event.listen(curated, "commit", lambda _: behind(None, None, "COMMIT"))
    Registry(curated, root).promote("scope-v2", override="trial")


@pytest.mark.parametrize("mark", ["UPDATE", "INSERT INTO promotions", "COMMIT"])
def test_killed_in_the_middle_the_champion_stays(
    registry: Registry, database_target: str, tmp_path: Path, mark: str
) -> None:
    one = fresh(registry, tmp_path, 1.0)
    fresh(registry, tmp_path, 2.0)
    registry.promote(one, override="trial")
    child = multiprocessing.get_context("fork").Process(target=_promote_and_die, args=(database_target, tmp_path, mark))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert serving(registry) == "scope-v1"
    assert len(registry.log()) == 1
    registry.promote("scope-v2", override="trial")
    assert serving(registry) == "scope-v2"


def test_two_active_adapters_cannot_be(registry: Registry, curated: "Engine", tmp_path: Path) -> None:
    from models.errors import DatabaseError

    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, override="trial")
    with pytest.raises(DatabaseError), curated.begin() as connection:
        connection.exec_driver_sql(f"UPDATE adapter_metadata SET active = true WHERE id = '{two.id}'")
    with pytest.raises(DatabaseError, match="append-only"), curated.begin() as connection:
        connection.exec_driver_sql("DELETE FROM promotions")
    assert serving(registry) == "scope-v1"


def test_a_header_of_another_length_is_no_safetensors(tmp_path: Path) -> None:
    from training.adapters.registry.weights import header

    file = tmp_path / "x.safetensors"
    write_safetensors(file, {"a": ((1,), [1.0])})
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(RegistryError, match="altered"):
        header(file)
