"""A specialist's base, with an adapter or alone, against the generalist's base on the same frozen items."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from evals.sets import build_set, freeze
from models.errors import UsageError
from models.targets import TrainingTarget
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.tiny import make_tiny_base
from training.bases.bases import add_base
from training.cycle.comparison import compare_subjects, find_contest
from training.cycle.context import TrainingContext, open_context

pytestmark = pytest.mark.slow

HIDDEN = tuple(f"hidden{number}" for number in range(2))


@pytest.fixture
def world(short_answers: None, tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    for name in HIDDEN:
        varied_gold_runs(made, Repository(name))
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "whole", seed=1), "whole")
    target = TrainingTarget.SCOPE
    freeze(made.curated, made.raw.engine, build_set(made.raw.engine, target, HIDDEN, limit=len(HIDDEN)))
    return made


def context_of(
    world: World, served: str = "whole", generalist: str | None = "large", thinking: bool | None = None
) -> TrainingContext:
    settings = student_settings(world.folder, "http://127.0.0.1:9/v1")
    models = settings.models
    here = models.endpoint("here").model_copy(update={"thinking": thinking})
    large = models.endpoint("here").model_copy(update={"base": served})
    roles = models.roles.model_copy(update={"generalist": generalist})
    models = models.model_copy(update={"endpoints": {**models.endpoints, "here": here, "large": large}, "roles": roles})
    return open_context(settings.model_copy(update={"models": models}))


def no_campaign(asked: object) -> str:
    raise AssertionError(f"no campaign is due: {asked}")


def test_two_bases_answer_the_same_items_alike_and_a_gate_compares_them(world: World) -> None:
    context = context_of(world)
    contest = find_contest(context, TrainingTarget.SCOPE, "base", "generalist", "tiny")
    assert (contest.base.name, contest.champion_base.name) == ("tiny", "whole")

    compared = compare_subjects(context, plain_steps(no_campaign), contest, item_level=False)
    assert (compared.report.challenger.name, compared.report.champion.name) == ("tiny", "whole")
    assert compared.champion.settings == compared.challenger.settings
    assert {score.item for score in compared.champion.scores} == {score.item for score in compared.challenger.scores}
    turned = find_contest(context, TrainingTarget.SCOPE, "generalist", "base", "tiny")
    assert (turned.base.name, turned.champion_base.name) == ("whole", "tiny")


@pytest.mark.parametrize(("adapter", "against"), [("base", "generalist"), ("generalist", "base")])
def test_both_think_as_the_specialists_endpoint_says_whichever_is_the_champion(
    world: World, adapter: str, against: str
) -> None:
    context = context_of(world, thinking=False)
    contest = find_contest(context, TrainingTarget.SCOPE, adapter, against, "tiny")
    compared = compare_subjects(context, plain_steps(no_campaign), contest, item_level=False)
    assert compared.champion.settings["thinking"] == compared.challenger.settings["thinking"] == "off"


def test_what_cannot_be_compared_is_refused(world: World) -> None:
    for context, remedy in (
        (context_of(world, generalist=None), "generalist"),
        (context_of(world, served=""), "generalist"),
        (context_of(world, served="tiny"), "generalist itself"),
    ):
        with pytest.raises(UsageError, match=remedy):
            find_contest(context, TrainingTarget.SCOPE, "base", "generalist", "tiny")
