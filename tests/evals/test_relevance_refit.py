"""A classifier moved towards a repository's own commits, and the question whether that helps with later ones."""

from dataclasses import replace

import numpy as np
import pytest

from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES
from evals.relevance.questions import LabelledQuestion, Rows
from evals.relevance.refit import LEAST, average_precisions, judged, moved_towards, refit
from models.errors import UsageError
from models.relevance import BIAS, FILE_CLASSES, SYMBOL_CLASSES, ClassifierFile, LinearModel, OperatingPoint
from tests.evals.test_relevance_fitting import question

OWN = PRODUCTION_FEATURES.index("log rank")


def linear(names: tuple[str, ...], classes: tuple[str, ...], strength: float) -> LinearModel:
    """A model that goes by the first feature alone."""
    zero = (0.0,) * len(classes)
    steps = tuple(strength * place for place in range(len(classes)))
    return LinearModel(
        classes=classes, weights={BIAS: zero, **dict.fromkeys(names, zero), names[0]: steps}, temperature=1.5
    )


def classifier(strength: float = 3.0) -> ClassifierFile:
    return ClassifierFile(
        trained_on=("another",),
        calibrated_on=(),
        questions=7,
        rows=70,
        production=linear(PRODUCTION_FEATURES, FILE_CLASSES, strength),
        other=linear(OTHER_FEATURES, FILE_CLASSES, strength),
        symbols=linear(("share",), SYMBOL_CLASSES, 1.0),
        point=OperatingPoint(relevant=0.05, primary=0.1),
    )


def own_way(rows: Rows, place: int) -> Rows:
    """The same labels, but another feature is what decides, and the first says nothing."""
    features = rows.features.copy()
    features[:, [0, place]] = features[:, [place, 0]]
    return replace(rows, features=features)


def history(unlike: bool, size: int = LEAST + 10) -> list[LabelledQuestion]:
    """A repository's questions; `unlike`: what decides in it is not what the classifier goes by."""
    found = [question("own", 100 * number + 1) for number in range(size)]
    if not unlike:
        return found
    return [replace(each, production=own_way(each.production, OWN), other=own_way(each.other, 1)) for each in found]


def test_a_repository_of_its_own_kind_is_refitted_and_its_later_commits_gain() -> None:
    asked, later = history(True), history(True, 2 * LEAST)[-20:]
    found = refit(classifier(), asked)
    assert found.chosen and found.after > found.before + 0.2 and found.p <= 0.05
    assert found.judged == len(asked) * 3 // 5
    before, after = (np.mean(average_precisions(judged(each, later))) for each in (classifier(), found.file))
    assert after > before + 0.2
    assert found.file.trained_on == ("another", "own")
    assert found.file.symbols == classifier().symbols and found.file.point == classifier().point
    assert found.file.content != classifier().content


def test_a_repository_that_the_classifier_knows_is_left_alone() -> None:
    found = refit(classifier(), history(False))
    assert found.after <= found.before and not found.chosen, "even where it is significantly worse"


def test_later_commits_never_enter_what_they_are_judged_by() -> None:
    asked = history(True)
    turned = [
        replace(each, production=replace(each.production, labels=np.flip(each.production.labels)))
        if number >= len(asked) * 4 // 5
        else each
        for number, each in enumerate(asked)
    ]
    one, other = refit(classifier(), asked), refit(classifier(), turned)
    assert (one.judged, one.questions) == (other.judged, other.questions)
    assert other.after < one.after  # what was turned is judged, and nothing was fitted on it
    assert refit(classifier(), asked) == one


def test_a_strong_penalty_changes_nothing() -> None:
    kept = moved_towards(classifier(), history(True)[:5], 1e9)
    for name, weights in kept.production.weights.items():
        assert weights == pytest.approx(classifier().production.weights[name], abs=1e-5)


def test_too_few_commits_are_refused() -> None:
    with pytest.raises(UsageError, match="too few to refit on"):
        refit(classifier(), history(True, LEAST - 1))
