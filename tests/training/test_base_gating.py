"""A tuned base is a candidate until a gate or a person promotes it; it can be taken back with its adapters."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.base_evaluation import BaseReport, Forgetting, ForgettingBounds
from models.errors import GuardrailError, RegistryError, UsageError
from models.evaluation import GateReport, GateVerdict, Subject
from models.training import TrainingTarget
from tests.support.registry_material import flip, make_adapter, register, report, serving
from tests.support.tiny import make_tiny_base
from training.adapters.registry import AdapterVersion, Registry
from training.adapters.registry.base_evidence import check_base_report
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.succession import named_base, superseding
from training.bases.bases import Base, add_base, find_base, list_bases
from training.bases.files import hash_file

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytest.importorskip("torch")

BOUNDS = ForgettingBounds(rise=0.2, agreement=0.7)


@pytest.fixture
def bases(curated: "Engine", tmp_path: Path) -> BaseRegistry:
    """A registry of bases beside the one of adapters; `old` is a base that was added."""
    add_base(curated, tmp_path, make_tiny_base(tmp_path / "old"), "old")
    return BaseRegistry(curated, tmp_path)


def tuned(bases: BaseRegistry, curated: "Engine", folder: Path, seed: int, parent: str = "old") -> Base:
    """A candidate whose weights are those of another seed."""
    return bases.register(
        make_tiny_base(folder / f"tuned-{seed}", seed=seed),
        "reasoning",
        find_base(curated, parent),
        dataset="d" * 64,
        datasets=["e" * 64],
        job="p" * 64,
        config={"epochs": 3},
        code_revision="2",
    )


def verdict_on(
    challenger: Base, champion: Base, verdict: GateVerdict = GateVerdict.PROMOTE, reason: str = "loss fell"
) -> BaseReport:
    return BaseReport(
        role="reasoning",
        champion=Subject(name=champion.name, base=champion.id),
        challenger=Subject(name=challenger.name, base=challenger.id),
        verdict=verdict,
        reason=reason,
        forgetting=(Forgetting(kind="instructions", prompts=1, tokens=9, before=1.0, after=1.1),),
        bounds=BOUNDS,
    )


def test_a_candidate_is_signed_with_its_lineage_and_changes_nothing(
    curated: "Engine", bases: BaseRegistry, registry: Registry, tmp_path: Path
) -> None:
    one = tuned(bases, curated, tmp_path, 1)
    lineage = bases.verify(one, full=True)
    assert (one.name, one.role, one.version) == ("reasoning-base-v1", "reasoning", 1)
    assert (lineage.parent_name, lineage.datasets, lineage.config) == ("old", ("e" * 64,), {"epochs": 3})
    assert bases.in_use("reasoning") is None and bases.log() == []
    assert superseding(curated, find_base(curated, "old"), "reasoning") == ""
    assert tuned(bases, curated, tmp_path, 1) == one, "the same weights are registered once"
    assert sum(base.name == "reasoning-base-v1" for base in list_bases(curated)) == 1


def test_a_registration_that_was_killed_is_done_again(
    curated: "Engine", bases: BaseRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("training.bases.bases.record_base", "training.adapters.registry.base_registry.sign"):
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(KeyboardInterrupt):
                tuned(bases, curated, tmp_path, 1)
        assert all(base.name != "reasoning-base-v1" for base in list_bases(curated))
    one = tuned(bases, curated, tmp_path, 1)
    assert bases.verify(one, full=True).base == one.id
    assert not [path for path in (tmp_path / "bases").iterdir() if path.name.startswith(".adding")]


def test_the_gate_decides_and_a_reason_goes_past_it(curated: "Engine", bases: BaseRegistry, tmp_path: Path) -> None:
    one, old = tuned(bases, curated, tmp_path, 1), find_base(curated, "old")
    with pytest.raises(GuardrailError, match=r"base-gate: no report on reasoning-base-v1"):
        bases.promote(one.name)
    bases.note(one, verdict_on(one, old, GateVerdict.REJECT, "it forgot"))
    with pytest.raises(GuardrailError, match=r"did not pass \(reject: it forgot\)"):
        bases.promote(one.name)
    assert bases.in_use("reasoning") is None
    change = bases.promote(one.name, "a person looked at it")
    assert (change.before, change.now) == (old, one)
    last = bases.log("reasoning")[-1]
    assert (last.action, last.override, last.before, last.serving) == (
        "promote", "a person looked at it", old.id, one.id,
    )  # fmt: skip
    assert bases.promote(one.name).now == one, "it is in use already"
    assert len(bases.log()) == 2


def test_a_report_against_another_base_than_the_one_in_use_does_not_count(
    curated: "Engine", bases: BaseRegistry, tmp_path: Path
) -> None:
    old = find_base(curated, "old")
    one, two = (tuned(bases, curated, tmp_path, seed) for seed in (1, 2))
    for each in (one, two):
        bases.note(each, verdict_on(each, old))
    bases.promote(one.name)
    with pytest.raises(GuardrailError, match="compared with old, and reasoning uses reasoning-base-v1"):
        bases.promote(two.name)
    bases.note(two, verdict_on(two, one))
    assert bases.promote(two.name).before == one
    assert named_base(curated, "reasoning") == two
    assert superseding(curated, one, "reasoning") == superseding(curated, old, "reasoning") == two.name
    assert superseding(curated, old, "coding") == ""


def test_a_report_by_looser_bounds_or_on_an_older_set_does_not_count(
    curated: "Engine", bases: BaseRegistry, tmp_path: Path
) -> None:
    one, old = tuned(bases, curated, tmp_path, 1), find_base(curated, "old")
    passed = verdict_on(one, old)
    bases.note(one, passed)
    for strict in (ForgettingBounds(rise=0.1, agreement=0.7), ForgettingBounds(rise=0.2, agreement=0.8)):
        with pytest.raises(GuardrailError, match="bounds of forgetting"):
            bases.promote(one.name, bounds=strict)
    stage = GateReport(
        target=TrainingTarget.SCOPE,
        champion=passed.champion,
        challenger=passed.challenger,
        set_id="s" * 64,
        verdict=GateVerdict.PROMOTE,
        reason="it found more",
        tests=(),
    )
    with pytest.raises(GuardrailError, match="a newer one is frozen"):
        check_base_report(
            one, old, passed.model_copy(update={"stages": (stage,)}), newest={TrainingTarget.SCOPE: "t" * 64}
        )
    assert bases.promote(one.name, bounds=BOUNDS).now == one


def test_the_same_evidence_does_not_count_again_after_a_rollback(
    curated: "Engine", bases: BaseRegistry, tmp_path: Path
) -> None:
    one, old = tuned(bases, curated, tmp_path, 1), find_base(curated, "old")
    bases.note(one, verdict_on(one, old))
    bases.promote(one.name)
    bases.rollback("reasoning", "worse in use")
    bases.note(one, verdict_on(one, old))
    with pytest.raises(GuardrailError, match="no report on reasoning-base-v1"):
        bases.promote(one.name)
    bases.note(one, verdict_on(one, old, reason="loss fell on other rows"))
    assert bases.promote(one.name).now == one


def test_a_rollback_brings_back_the_base_and_the_adapters_that_served_on_it(
    curated: "Engine", bases: BaseRegistry, registry: Registry, tmp_path: Path
) -> None:
    folder = make_adapter(tmp_path / "a", base_model_name_or_path="old")
    adapter = register(registry, fits(folder, tmp_path / "old"), base="old")
    registry.promote(adapter, report(adapter, None))
    one, old = tuned(bases, curated, tmp_path, 1), find_base(curated, "old")
    bases.note(one, verdict_on(one, old))
    change = bases.promote(one.name)
    assert [version.name for version in change.stopped] == ["scope-v1"] and serving(registry) is None
    with pytest.raises(GuardrailError, match="same-base: scope uses base reasoning-base-v1"):
        registry.promote(adapter, override="whatever")
    back = bases.rollback("reasoning", "worse in use")
    assert (back.before, back.now) == (one, old)
    assert [version.name for version in back.restored] == ["scope-v1"] and serving(registry) == "scope-v1"
    with pytest.raises(GuardrailError, match="no report on reasoning-base-v1"):
        bases.promote(one.name)  # its report is from before the rollback
    with pytest.raises(RegistryError, match="reasoning has used no other base"):
        bases.rollback("reasoning", "again")
    assert [row.action for row in registry.log(TrainingTarget.SCOPE)] == ["promote", "adopt", "rollback"]


def test_nothing_is_half_promoted(
    curated: "Engine", bases: BaseRegistry, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = register(
        registry,
        fits(make_adapter(tmp_path / "a", base_model_name_or_path="old"), tmp_path / "old"),
        base="old",
    )
    registry.promote(adapter, report(adapter, None))
    one = tuned(bases, curated, tmp_path, 1)
    bases.note(one, verdict_on(one, find_base(curated, "old")))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.adapters.registry.base_registry.log_base_decision", killed)
        with pytest.raises(KeyboardInterrupt):
            bases.promote(one.name)
    assert serving(registry) == "scope-v1" and bases.in_use("reasoning") is None
    assert [row.action for row in registry.log(TrainingTarget.SCOPE)] == ["promote"]
    bases.promote(one.name)
    assert serving(registry) is None and bases.in_use("reasoning") == one


def scope_on(registry: Registry, tmp_path: Path, base: str = "old") -> AdapterVersion:
    """An active adapter of a base."""
    folder = make_adapter(tmp_path / f"on-{base}", base_model_name_or_path=base)
    adapter = register(registry, fits(folder, tmp_path / "old", base), base=base)
    registry.promote(adapter, override="it serves")
    return adapter


def test_an_adapter_that_was_taken_back_does_not_come_back_with_an_older_decision(
    curated: "Engine", bases: BaseRegistry, registry: Registry, tmp_path: Path
) -> None:
    scope_on(registry, tmp_path)
    one = tuned(bases, curated, tmp_path, 1)
    bases.promote(one.name, "first")
    assert [each.name for each in bases.rollback("reasoning", "worse").restored] == ["scope-v1"]
    registry.rollback(TrainingTarget.SCOPE, "it is bad")
    assert bases.promote(one.name, "again").stopped == ()
    assert bases.rollback("reasoning", "worse again").restored == ()
    assert serving(registry) is None


def test_a_rollback_to_no_base_on_record_brings_back_what_served_then(
    curated: "Engine", bases: BaseRegistry, registry: Registry, tmp_path: Path
) -> None:
    scope_on(registry, tmp_path)
    other = add_base(curated, tmp_path, make_tiny_base(tmp_path / "r", seed=5), "r")
    [change] = bases.adopt("r", "to try it", "reasoning")
    assert [each.name for each in change.stopped] == ["scope-v1"]
    back = bases.rollback("reasoning", "it was worse")
    assert (back.before, back.now) == (other, None)
    assert [each.name for each in back.restored] == ["scope-v1"] and serving(registry) == "scope-v1"


def test_each_rollback_goes_to_another_base(curated: "Engine", bases: BaseRegistry, tmp_path: Path) -> None:
    one, two = (tuned(bases, curated, tmp_path, seed) for seed in (1, 2))
    bases.promote(one.name, "first")
    bases.promote(two.name, "second")
    bases.adopt(one.name, "back by hand", "reasoning")
    flip(two.path / "model.safetensors")
    assert bases.rollback("reasoning", "worse").now == find_base(curated, "old")
    assert "passed over" in bases.log()[-1].reason
    with pytest.raises(RegistryError, match="reasoning has used no other base"):
        bases.rollback("reasoning", "again")


def test_a_base_with_an_altered_byte_is_not_adopted_and_a_rollback_needs_a_reason(
    curated: "Engine", bases: BaseRegistry, tmp_path: Path
) -> None:
    one = tuned(bases, curated, tmp_path, 1)
    bases.promote(one.name, "first")
    with pytest.raises(UsageError, match="a rollback needs a reason"):
        bases.rollback("reasoning", "  ")
    flip(find_base(curated, "old").path / "model.safetensors")
    with pytest.raises(RegistryError, match="missing or altered"):
        bases.adopt("old", "as it is")
    with pytest.raises(RegistryError, match="no base to go back to is intact"):
        bases.rollback("reasoning", "worse")
    assert bases.in_use("reasoning") == one


def test_a_candidate_does_not_take_the_place_of_adapters_of_another_base(
    curated: "Engine", bases: BaseRegistry, registry: Registry, tmp_path: Path
) -> None:
    add_base(curated, tmp_path, make_tiny_base(tmp_path / "prod", seed=5), "prod")
    scope_on(registry, tmp_path, "prod")
    one = tuned(bases, curated, tmp_path, 1)
    bases.note(one, verdict_on(one, find_base(curated, "old")))
    for attempt in (lambda: bases.promote(one.name), lambda: bases.champion(one)):
        with pytest.raises(UsageError, match="cra bases adopt prod --role reasoning"):
            attempt()
    assert serving(registry) == "scope-v1" and bases.in_use("reasoning") is None
    bases.adopt("prod", "it serves", "reasoning")
    assert bases.champion(one) == find_base(curated, "prod")


def test_an_altered_candidate_is_not_promoted_and_a_rollback_passes_over_a_damaged_base(
    curated: "Engine", bases: BaseRegistry, tmp_path: Path
) -> None:
    one, two = (tuned(bases, curated, tmp_path, seed) for seed in (1, 2))
    bases.promote(one.name, "first")
    bases.promote(two.name, "second")
    three = tuned(bases, curated, tmp_path, 3)
    flip(three.path / "model.safetensors")
    with pytest.raises(RegistryError, match="reasoning-base-v3"):
        bases.promote(three.name, "it looks good")
    (one.path / "config.json").chmod(0o644)
    (one.path / "config.json").write_text("{}")
    assert bases.rollback("reasoning", "worse").now == find_base(curated, "old")
    assert "passed over" in bases.log()[-1].reason


def test_only_a_base_with_a_lineage_goes_through_the_gate(curated: "Engine", bases: BaseRegistry) -> None:
    with pytest.raises(UsageError, match="cra bases adopt old --role ROLE"):
        bases.promote("old", "so")
    with pytest.raises(UsageError, match="an adoption needs a reason"):
        bases.adopt("old", " ")
    [first, second] = bases.adopt("old", "as it is")
    assert (first.role, second.role, first.before) == ("reasoning", "coding", None)
    assert bases.adopt("old", "again") == []
    assert bases.rollback("coding", "none was needed").now is None
    assert bases.in_use("coding") is None


def test_the_name_of_a_role_is_no_name_of_a_base(curated: "Engine", bases: BaseRegistry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'coding' stands for the base that the role uses"):
        add_base(curated, tmp_path, make_tiny_base(tmp_path / "c", seed=9), "coding")
    with pytest.raises(RegistryError, match="coding uses no base yet"):
        named_base(curated, "coding")


def fits(adapter: Path, base: Path, name: str = "old") -> Path:
    """The adapter with tensors of the tiny base's shapes."""
    from tests.support.tiny import make_adapter as made

    for file in adapter.iterdir():
        file.unlink()
    made(base, adapter)
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace(str(base), name))
    assert hash_file(config)
    return adapter
