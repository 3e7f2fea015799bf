"""Which base a role uses: what its adapters lose by another, and what comes back."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evals.tiers import TierStatus
from models.errors import GuardrailError
from models.training import TrainingTarget
from tests.support.registry_material import fresh, make_adapter, make_base, register, report, serving
from training.adapters.registry import AdapterVersion, Registry
from training.adapters.registry.base_registry import BaseRegistry
from training.cycle.tier_status import tier_status

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture
def bases(curated: "Engine", tmp_path: Path) -> BaseRegistry:
    return BaseRegistry(curated, tmp_path)


def test_a_base_of_another_role_does_not_outlive_the_roles_own(
    curated: "Engine", registry: Registry, bases: BaseRegistry, tmp_path: Path
) -> None:
    make_base(curated, tmp_path, "coding-base-v2", role="coding", version=2)
    make_base(curated, tmp_path, "reasoning-base-v1", role="reasoning", version=1)
    bases.adopt("reasoning-base-v1", "served now")
    stray = register(
        registry, make_adapter(tmp_path / "s", 2.0, base_model_name_or_path="coding-base-v2"), base="coding-base-v2"
    )
    with pytest.raises(GuardrailError, match="scope uses base reasoning-base-v1"):
        registry.promote(stray, override="trial")


def test_a_new_base_ends_the_adapters_of_the_old_one_when_it_is_in_use(
    curated: "Engine", registry: Registry, bases: BaseRegistry, tmp_path: Path
) -> None:
    old = fresh(registry, tmp_path, 1.0)
    registry.promote(old, override="trial")
    assert tier_status(curated, registry, None).promoted == frozenset()  # it serves, and has passed no gate
    registry.rollback(TrainingTarget.SCOPE, "again, by the gate")
    registry.promote(old, report(old, None))
    one = TierStatus(frozenset({TrainingTarget.SCOPE}), frozenset(), True)
    assert tier_status(curated, registry, True) == one
    make_base(curated, tmp_path, "reasoning-base-v1", role="reasoning", version=1)
    assert tier_status(curated, registry, True) == one, "a candidate changes nothing"
    late = fresh(registry, tmp_path, 2.0)
    registry.promote(late, override="trial")
    registry.rollback(TrainingTarget.SCOPE, "back to the first")
    [change] = bases.adopt("reasoning-base-v1", "moved over")
    assert [version.name for version in change.stopped] == ["scope-v1"]
    assert tier_status(curated, registry, None) == TierStatus(frozenset(), frozenset({"reasoning"}), None)
    assert serving(registry) is None
    with pytest.raises(GuardrailError, match="scope uses base reasoning-base-v1"):
        registry.promote(late, override="trial")
    folder = make_adapter(tmp_path / "new", 3.0, base_model_name_or_path="reasoning-base-v1")
    new = register(registry, folder, base="reasoning-base-v1")
    registry.promote(new, override="trial")
    assert registry.rollback(TrainingTarget.SCOPE, "worse") is None


def other_base(curated: "Engine", registry: Registry, tmp_path: Path) -> tuple[AdapterVersion, AdapterVersion]:
    """An adapter that serves on one base, and one of another base that beat that base alone."""
    old = fresh(registry, tmp_path, 1.0)
    registry.promote(old, report(old, None))
    make_base(curated, tmp_path, "larger")
    return old, register(registry, make_adapter(tmp_path / "n", 2.0, base_model_name_or_path="larger"), base="larger")


def test_an_adapter_of_another_base_takes_nobodys_place_until_its_base_is_adopted(
    curated: "Engine", registry: Registry, bases: BaseRegistry, tmp_path: Path
) -> None:
    _, new = other_base(curated, registry, tmp_path)
    with pytest.raises(
        GuardrailError,
        match=r"same-base: scope-v1 .*base tiny, .*cra bases promote larger.*cra bases adopt larger --role reasoning",
    ):
        registry.promote(new, report(new, None))
    assert registry.withheld_for_base(new, report(new, None)).startswith("same-base")
    assert (serving(registry), registry.log()[-1].action) == ("scope-v1", "refuse")
    bases.adopt("larger", "served now")
    registry.promote(new)  # by the report that was noted
    assert serving(registry) == "scope-v2"
    assert registry.rollback(TrainingTarget.SCOPE, "worse") is None


def test_a_role_takes_a_base_of_its_own(
    curated: "Engine", registry: Registry, bases: BaseRegistry, tmp_path: Path
) -> None:
    old, _ = other_base(curated, registry, tmp_path)
    [coding] = bases.adopt("larger", "for code", "coding")
    assert coding.stopped == ()
    assert registry.active(TrainingTarget.SCOPE) == registry.show(old.name)
    [rest] = bases.adopt("larger", "for the rest", "reasoning")
    assert [version.name for version in rest.stopped] == ["scope-v1"]
    assert [entry.action for entry in registry.log(TrainingTarget.SCOPE)] == ["promote", "adopt"]


def test_no_rollback_goes_back_behind_an_adopted_base(
    curated: "Engine", registry: Registry, bases: BaseRegistry, tmp_path: Path
) -> None:
    _, new = other_base(curated, registry, tmp_path)
    registry.promote(new, override="served already")
    bases.adopt("larger", "served now")
    assert serving(registry) == "scope-v2"
    assert registry.rollback(TrainingTarget.SCOPE, "worse") is None
    assert registry.log(TrainingTarget.SCOPE)[-1].reason == "worse (passed over: scope-v1 is of base tiny)"


def test_what_passed_on_a_superseded_base_is_not_promoted_again(
    curated: "Engine", registry: Registry, bases: BaseRegistry, tmp_path: Path
) -> None:
    old, _ = other_base(curated, registry, tmp_path)
    bases.adopt("larger", "served now")
    with pytest.raises(GuardrailError, match="scope-v1 is of base tiny"):
        registry.promote(old, report(old, None))
    bases.adopt("tiny", "back again")
    registry.promote(old, report(old, None))
    assert serving(registry) == "scope-v1"


def test_adopting_what_is_in_use_changes_nothing(registry: Registry, bases: BaseRegistry, tmp_path: Path) -> None:
    one, two = fresh(registry, tmp_path, 1.0), fresh(registry, tmp_path, 2.0)
    registry.promote(one, report(one, None))
    registry.promote(two, report(two, one))
    assert all(change.stopped == () for change in bases.adopt("tiny", "as it is"))
    assert bases.adopt("tiny", "again") == []
    assert [entry.action for entry in registry.log(TrainingTarget.SCOPE)] == ["promote", "promote"]
    assert registry.rollback(TrainingTarget.SCOPE, "worse") == registry.show(one.name)


def test_a_person_may_go_past_the_base_and_comes_back_to_who_served(
    curated: "Engine", registry: Registry, tmp_path: Path
) -> None:
    old, new = other_base(curated, registry, tmp_path)
    registry.promote(new, override="both bases are served")
    assert serving(registry) == "scope-v2"
    assert registry.rollback(TrainingTarget.SCOPE, "worse") == registry.show(old.name)
