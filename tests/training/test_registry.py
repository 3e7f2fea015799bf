"""The registry: immutable versions, one alias per target, and what it refuses."""

import json
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evals.tiers import Standing
from models.database import open_database
from models.errors import GuardrailError, RegistryError
from models.evaluation import Verdict
from models.training import Target
from tests.training.registry_material import fresh, lora, make_adapter, make_base, register, report, write_safetensors
from training.registry import AdapterVersion, Registry
from training.registry.standing import standing

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture
def curated(database_target: str) -> "Engine":
    return open_database(database_target, "curated")


@pytest.fixture
def registry(curated: "Engine", tmp_path: Path) -> Registry:
    make_base(curated, tmp_path)
    return Registry(curated, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Registry:
    """A registry on SQLite, for what no database matters to."""
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    make_base(curated, tmp_path)
    return Registry(curated, tmp_path)


def serving(registry: Registry, target: Target = Target.SCOPE) -> str | None:
    active = registry.active(target)
    return active.name if active else None


def test_versions_are_numbered_by_target_and_the_same_weights_are_one(registry: Registry, tmp_path: Path) -> None:
    one, again = (register(registry, make_adapter(tmp_path / name)) for name in ("a", "b"))
    other = fresh(registry, tmp_path, 2.0)
    code = fresh(registry, tmp_path, 3.0, Target.CODE)
    assert again == one
    assert [version.name for version in registry.list()] == ["code-v1", "scope-v1", "scope-v2"]
    assert one.path == tmp_path / "adapters" / "scope" / one.id
    assert other.served == f"scope-v2-{other.id[:12]}"
    assert registry.show(code.served) == registry.show(code.id[:10]) == code
    with pytest.raises(RegistryError, match="known as scope-v1"):
        register(registry, tmp_path / "a", Target.CODE)
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
    log = registry.log(Target.SCOPE)
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
        registry.promote(one, report(one, None, Verdict.INCONCLUSIVE))
    with pytest.raises(RegistryError, match="is about scope-v2"):
        registry.promote(one, report(two, None))
    registry.promote(two, report(two, None))
    with pytest.raises(GuardrailError, match="passed against tiny, which does not serve now"):
        registry.promote(one, report(one, None))
    registry.promote(one, override=" the gate's set is stale ")
    assert serving(registry) == "scope-v1"
    assert registry.log()[-1].override == "the gate's set is stale"
    registry.rollback(Target.SCOPE, "worse")
    registry.rollback(Target.SCOPE, "worse still")
    assert serving(registry) is None
    with pytest.raises(GuardrailError, match=r"scope-v2 was rolled back \(worse still\), and what a gate said"):
        registry.promote(two)  # it passed against the base, but was rolled back since
    registry.promote(two, report(two, None))
    assert serving(registry) == "scope-v2"


def test_only_who_still_serves_is_taken_back(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote(two, report(two, one))
    registry.rollback(Target.SCOPE, "a person decided, while whole runs judged it")
    assert not registry.take_back(two, "whole runs are worse")
    assert serving(registry) == "scope-v1"
    assert registry.take_back(one, "whole runs are worse")
    assert serving(registry) is None
    assert [entry.action for entry in registry.log()] == ["promote", "promote", "rollback", "rollback"]


def test_a_later_report_against_who_serves_outweighs_an_earlier_one(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote(two, report(two, one))
    registry.rollback(Target.SCOPE, "worse")
    registry.reject(two, report(two, one, Verdict.REJECT))  # by a newer set
    with pytest.raises(GuardrailError, match="scope-v2 did not pass"):
        registry.promote(two)
    assert serving(registry) == "scope-v1"


def test_a_base_of_another_role_does_not_outlive_the_roles_own(
    curated: "Engine", registry: Registry, tmp_path: Path
) -> None:
    make_base(curated, tmp_path, "coding-base-v2", role="coding", version=2)
    make_base(curated, tmp_path, "reasoning-base-v1", role="reasoning", version=1)
    stray = register(
        registry, make_adapter(tmp_path / "s", 2.0, base_model_name_or_path="coding-base-v2"), base="coding-base-v2"
    )
    with pytest.raises(RegistryError, match="reasoning-base-v1 supersedes"):
        registry.promote(stray, override="trial")


def test_a_gate_that_does_not_pass_leaves_the_champion(registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    for _ in range(2):
        registry.reject(two, report(two, one, Verdict.REJECT))
    registry.inconclusive(two, report(two, one, Verdict.INCONCLUSIVE))
    registry.refuse(Target.SCOPE, "rounds: two without fresh repositories")
    assert serving(registry) == "scope-v1"
    assert [row.action for row in registry.log()] == ["promote", "reject", "inconclusive", "refuse"]
    assert {row.serving for row in registry.log()} == {one.id}


def test_rollback_goes_back_one_by_one_to_the_base(registry: Registry, tmp_path: Path) -> None:
    versions = [fresh(registry, tmp_path, float(mark)) for mark in (1, 2, 3)]
    for version in versions:
        registry.promote(version, override="trial")
    assert registry.rollback(Target.SCOPE, "worse") == registry.show("scope-v2")
    registry.promote("scope-v3", override="trial")
    names = [getattr(registry.rollback(Target.SCOPE, "worse"), "name", None) for _ in range(3)]
    assert names == ["scope-v2", "scope-v1", None]
    with pytest.raises(RegistryError, match="no adapter serves scope"):
        registry.rollback(Target.SCOPE, "worse")


def test_rollback_passes_over_what_is_damaged(local: Registry, tmp_path: Path) -> None:
    one, two, three = (fresh(local, tmp_path, float(mark)) for mark in (1, 2, 3))
    for version in (one, two, three):
        local.promote(version, override="trial")
    flip(two.path / "adapter_model.safetensors")
    assert local.rollback(Target.SCOPE, "worse") == local.show("scope-v1")
    assert local.log()[-1].reason == "worse (passed over: scope-v2 is not intact)"
    assert one.id == local.log()[-1].serving


def test_a_new_base_ends_the_adapters_of_the_old_one(curated: "Engine", registry: Registry, tmp_path: Path) -> None:
    old = fresh(registry, tmp_path, 1.0)
    registry.promote(old, override="trial")
    assert standing(curated, registry, None).promoted == frozenset()  # it serves, and has passed no gate
    registry.rollback(Target.SCOPE, "again, by the gate")
    registry.promote(old, report(old, None))
    assert standing(curated, registry, True) == Standing(frozenset({Target.SCOPE}), frozenset(), True)
    make_base(curated, tmp_path, "reasoning-base-v1", role="reasoning", version=1)
    after = standing(curated, registry, None)
    assert (after.promoted, after.tuned) == (frozenset(), {"reasoning"})
    late = fresh(registry, tmp_path, 2.0)
    with pytest.raises(RegistryError, match="reasoning-base-v1 supersedes"):
        registry.promote(late, override="trial")
    assert [version.name for version in registry.adopt_base("reasoning-base-v1", "moved over")] == ["scope-v1"]
    assert serving(registry) is None
    folder = make_adapter(tmp_path / "new", 3.0, base_model_name_or_path="reasoning-base-v1")
    new = register(registry, folder, base="reasoning-base-v1")
    registry.promote(new, override="trial")
    assert registry.rollback(Target.SCOPE, "worse") is None


def other_base(curated: "Engine", registry: Registry, tmp_path: Path) -> tuple[AdapterVersion, AdapterVersion]:
    """An adapter that serves on one base, and one of another base that beat that base alone."""
    old = fresh(registry, tmp_path, 1.0)
    registry.promote(old, report(old, None))
    make_base(curated, tmp_path, "larger")
    return old, register(registry, make_adapter(tmp_path / "n", 2.0, base_model_name_or_path="larger"), base="larger")


def test_an_adapter_of_another_base_takes_nobodys_place_until_its_base_is_adopted(
    curated: "Engine", registry: Registry, tmp_path: Path
) -> None:
    _, new = other_base(curated, registry, tmp_path)
    with pytest.raises(
        GuardrailError, match=r"same-base: scope-v1 serves on base tiny, .*cra bases adopt larger --role reasoning"
    ):
        registry.promote(new, report(new, None))
    assert registry.displaces(new, report(new, None)).startswith("same-base")
    assert (serving(registry), registry.log()[-1].action) == ("scope-v1", "refuse")
    registry.adopt_base("larger", "served now")
    registry.promote(new)  # by the report that was noted
    assert serving(registry) == "scope-v2"
    assert registry.rollback(Target.SCOPE, "worse") is None


def test_a_role_takes_a_base_of_its_own(curated: "Engine", registry: Registry, tmp_path: Path) -> None:
    old, _ = other_base(curated, registry, tmp_path)
    assert registry.adopt_base("larger", "for code", "coding") == []
    assert registry.active(Target.SCOPE) == registry.show(old.name)
    assert [version.name for version in registry.adopt_base("larger", "for the rest", "reasoning")] == ["scope-v1"]
    assert [entry.action for entry in registry.log(Target.SCOPE)] == ["promote", "adopt"]


def test_no_rollback_goes_back_behind_an_adopted_base(curated: "Engine", registry: Registry, tmp_path: Path) -> None:
    _, new = other_base(curated, registry, tmp_path)
    registry.promote(new, override="served already")
    registry.adopt_base("larger", "served now")
    assert serving(registry) == "scope-v2"
    assert registry.rollback(Target.SCOPE, "worse") is None
    assert registry.log(Target.SCOPE)[-1].reason == "worse (passed over: scope-v1 is of base tiny)"


def test_what_passed_on_a_superseded_base_is_not_promoted_again(
    curated: "Engine", registry: Registry, tmp_path: Path
) -> None:
    old, _ = other_base(curated, registry, tmp_path)
    registry.adopt_base("larger", "served now")
    with pytest.raises(GuardrailError, match="scope is served by base larger, and scope-v1 is of base tiny"):
        registry.promote(old, report(old, None))
    registry.adopt_base("tiny", "back again")
    registry.promote(old, report(old, None))
    assert serving(registry) == "scope-v1"


def test_adopting_what_is_in_use_changes_nothing(curated: "Engine", registry: Registry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote(two, report(two, one))
    assert registry.adopt_base("tiny", "as it is") == registry.adopt_base("tiny", "again") == []
    assert [entry.action for entry in registry.log(Target.SCOPE)] == ["promote", "promote", "adopt"]
    assert registry.rollback(Target.SCOPE, "worse") == registry.show(one.name)


def test_a_person_may_go_past_the_base_and_comes_back_to_who_served(
    curated: "Engine", registry: Registry, tmp_path: Path
) -> None:
    old, new = other_base(curated, registry, tmp_path)
    registry.promote(new, override="both bases are served")
    assert serving(registry) == "scope-v2"
    assert registry.rollback(Target.SCOPE, "worse") == registry.show(old.name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_model_name_or_path": "other"}, "made for base 'other', not for 'tiny'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is set"),
        ({"use_dora": True}, "use_dora is set"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"lora_bias": True}, "lora_bias is set"),
        ({"r": 8}, "q_proj.lora_A has shape .4, 16., its base and rank want .8, 16."),
        ({"r": 4096}, "rank r is 4096"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"target_modules": ["q_proj"]}, "v_proj is not among target_modules"),
        ({"target_modules": ["q_proj", "v_proj", "up_proj"]}, "no tensor for up_proj"),
        ({"init_lora_weights": "pissa"}, "changes the base's own weights"),
        ({"tensors": lora(width=8)}, "has shape"),
        ({"tensors": {}}, "no tensors"),
        ({"tensors": lora(0.0)}, "every lora_B is zero"),
        ({"tensors": lora(float("nan"))}, "numbers that are none"),
        ({"tensors": {"base_model.model.lm_head.weight": ((2, 2), [1.0] * 4)}}, "none of a plain LoRA"),
        (
            {"tensors": {"base_model.model.model.layers.7.q_proj.lora_A.weight": ((4, 16), [1.0] * 64)}},
            "the base has no matrix model.layers.7.q_proj",
        ),
    ],
)
def test_an_adapter_that_servers_would_not_take_is_refused(
    local: Registry, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(RegistryError, match=said):
        register(local, make_adapter(tmp_path / "bad", **changes))  # type: ignore[arg-type]
    assert local.list() == []


@pytest.mark.parametrize("cut", [0, 4, 40, 300, -1])
def test_a_damaged_file_is_refused(local: Registry, tmp_path: Path, cut: int) -> None:
    folder = make_adapter(tmp_path / "bad")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(RegistryError, match=r"adapter_model\.safetensors"):
        register(local, folder)


def flip(file: Path, text: tuple[bytes, bytes] | None = None) -> None:
    """Change the last byte of a file, or one text for another."""
    file.chmod(0o644)
    content = file.read_bytes()
    changed = content[:-1] + bytes([content[-1] ^ 1]) if text is None else content.replace(*text)
    assert changed != content
    file.write_bytes(changed)


def test_verification_finds_what_was_tampered_with(local: Registry, tmp_path: Path) -> None:
    one, two = fresh(local, tmp_path, 1.0), fresh(local, tmp_path, 2.0)
    assert local.verify("scope-v1") == one
    weights, statement, signature = (
        one.path / name for name in ("adapter_model.safetensors", "statement.json", "statement.sig")
    )
    flip(weights)
    with pytest.raises(RegistryError, match=r"adapter scope-v1: its files in .* have hash"):
        local.verify("scope-v1")
    flip(weights)
    flip(statement, (b'"abc123"', b'"abc124"'))
    with pytest.raises(RegistryError, match=r"statement\.sig does not fit .*Hash mismatch for .{1,3}statement\.json"):
        local.verify("scope-v1")
    flip(statement, (b'"abc124"', b'"abc123"'))
    own = signature.read_bytes()
    signature.chmod(0o644)
    signature.write_bytes((two.path / "statement.sig").read_bytes())
    with pytest.raises(RegistryError, match=r"statement\.sig does not fit"):
        local.verify("scope-v1")
    for nonsense in (b"", b"{}", b"[1]", own[:-20], own.replace(b'"sig":"', b'"sig":"AAAA')):
        signature.write_bytes(nonsense)
        with pytest.raises(RegistryError, match=r"statement\.sig"):
            local.verify("scope-v1")
    signature.write_bytes(own)
    one.path.chmod(0o755)
    (one.path / "extra.py").write_text("")
    with pytest.raises(RegistryError, match="Extra files"):
        local.verify("scope-v1")
    (one.path / "extra.py").unlink()
    assert local.verify("scope-v1") == one
    with pytest.raises(RegistryError):
        flip(weights)
        local.promote(one, override="trial")


def test_another_key_and_another_base_are_found_out(local: Registry, tmp_path: Path) -> None:
    one = fresh(local, tmp_path, 1.0)
    public = local.keys / "signing-key.pub"
    foreign = Registry(open_database(tmp_path / "other" / "curated.sqlite", "curated"), tmp_path / "other")
    make_base(foreign._curated, tmp_path / "other")
    fresh(foreign, tmp_path, 1.0)
    own = public.read_bytes()
    public.chmod(0o644)
    public.write_bytes((foreign.keys / "signing-key.pub").read_bytes())
    with pytest.raises(RegistryError, match="Key mismatch"):
        local.verify("scope-v1")
    public.write_bytes(own)
    flip(tmp_path / "base-tiny" / "model.safetensors")
    with pytest.raises(RegistryError, match="missing or altered"):
        local.verify("scope-v1")
    assert one.base == foreign.list()[0].base


def test_a_row_that_the_statement_does_not_bear_out_is_found_out(local: Registry, tmp_path: Path) -> None:
    fresh(local, tmp_path, 1.0)
    with local._curated.begin() as connection:
        connection.exec_driver_sql("UPDATE adapter_metadata SET dataset_id = 'x'")
    with pytest.raises(RegistryError, match=r"its statement says dataset d+, the database x"):
        local.verify("scope-v1")


def test_the_statement_tells_the_lineage(local: Registry, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a")
    (folder / "losses.jsonl").write_text("{}\n")
    (folder / "optimizer.pt").write_text("left behind")
    version = local.register(
        folder, Target.SCOPE, "tiny", "data", "plan", {}, {"r": 4}, "abc", parents=["before"], evaluations=["e1"]
    )
    said = json.loads((version.path / "statement.json").read_text())
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    made = said["predicate"]
    assert (made["base"], made["dataset"], made["parents"], made["evaluations"]) == (
        version.base,
        "data",
        ["before"],
        ["e1"],
    )
    assert (version.path / "losses.jsonl").is_file()
    assert not (version.path / "optimizer.pt").exists()


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
    with ProcessPoolExecutor(3) as pool:
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
    from training.registry.weights import header

    file = tmp_path / "x.safetensors"
    write_safetensors(file, {"a": ((1,), [1.0])})
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(RegistryError, match="cut off or altered"):
        header(file)
