"""Fitting of the relevance classifier: weights, temperature and operating point, each on rows it was not made of.

Weights are multinomial logistic regression with an L2 penalty on standardised features, every repository counting the
same. Its strength and the temperature come from predictions that are cross-fitted over repositories: those of each
repository by weights of the others. The operating point is chosen on validation repositories where there are any, else
on the cross-fitted predictions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES, SYMBOL_FEATURES
from evals.relevance.metrics import calibration_error, error_of, reliability
from evals.relevance.operating_point import Judged, primary_point, relevant_point
from evals.relevance.questions import LabelledQuestion, Rows
from models.errors import UsageError
from models.relevance import (
    BIAS,
    FILE_CLASSES,
    SYMBOL_CLASSES,
    Calibration,
    ClassifierFile,
    LinearModel,
    OperatingPoint,
)

Array = NDArray[np.float64]
FOLDS = 4
PENALTIES = (10.0, 40.0, 160.0)
_DIGITS = 6
"""Significant digits of a weight."""
Groups = Mapping[str, Sequence[LabelledQuestion]]
Pick = Callable[[LabelledQuestion], Rows]


@dataclass(frozen=True)
class _Table:
    """Rows of several repositories: features, classes, weights, and the number of each row's repository."""

    features: Array
    labels: NDArray[np.int64]
    weights: Array
    owners: NDArray[np.int64]


@dataclass(frozen=True)
class _Fitted:
    model: LinearModel
    crossed: Array
    """Cross-fitted and calibrated probabilities, rows x classes."""
    table: _Table


@dataclass(frozen=True)
class _Models:
    production: _Fitted
    other: _Fitted
    symbols: _Fitted


def fit(training: Groups, validation: Groups, notify: Callable[[str], None]) -> ClassifierFile:
    """A classifier from labelled questions by repository. Raises UsageError for too few repositories or questions."""
    training = {name: found for name, found in sorted(training.items()) if found}
    if len(training) < FOLDS:
        raise UsageError(
            f"{len(training)} repositories with questions are too few to fit on; name at least {FOLDS}, since each is "
            "estimated by weights of the others"
        )
    notify("production files")
    production = _fit(training, lambda q: q.production, PRODUCTION_FEATURES, FILE_CLASSES)
    notify("other files")
    other = _fit(training, lambda q: q.other, OTHER_FEATURES, FILE_CLASSES)
    notify("symbols")
    symbols = _fit(training, lambda q: q.symbols, SYMBOL_FEATURES, SYMBOL_CLASSES)
    files = np.concatenate([production.crossed, other.crossed])
    classes = np.concatenate([production.table.labels, other.table.labels])
    calibrated = {name: found for name, found in sorted(validation.items()) if found}
    return ClassifierFile(
        trained_on=tuple(training),
        calibrated_on=tuple(calibrated),
        questions=sum(len(found) for found in training.values()),
        rows=len(files) + len(symbols.crossed),
        production=production.model,
        other=other.model,
        symbols=symbols.model,
        point=_point(_Models(production, other, symbols), training, calibrated),
        calibration=Calibration(
            files=round(calibration_error(files, classes), 4),
            relevant=round(error_of(reliability(files[:, -1], classes == FILE_CLASSES.index("relevant"))), 4),
            symbols=round(calibration_error(symbols.crossed, symbols.table.labels), 4),
        ),
    )


def file_models(groups: Groups, penalty: float) -> tuple[LinearModel, LinearModel]:
    """The models of production files and of other files, as `fit` makes them by this penalty, without the rest."""
    return (
        _fit(groups, lambda q: q.production, PRODUCTION_FEATURES, FILE_CLASSES, (penalty,)).model,
        _fit(groups, lambda q: q.other, OTHER_FEATURES, FILE_CLASSES, (penalty,)).model,
    )


def probabilities(model: LinearModel, features: Sequence[str], rows: Array) -> Array:
    """Class probabilities of many rows, as `agent.retrieve.relevance.classifier.probabilities` has them for one."""
    weights = np.array([model.weights[name] for name in features])
    return _softmax((rows @ weights + np.array(model.weights[BIAS])) / model.temperature)


def candidate_chances(production: LinearModel, other: LinearModel, question: LabelledQuestion) -> Judged:
    """Class probabilities of a question's candidates, production files first, and their classes by gold."""
    pairs = ((production, PRODUCTION_FEATURES, question.production), (other, OTHER_FEATURES, question.other))
    chances = [probabilities(model, names, rows.features.astype(np.float64)) for model, names, rows in pairs]
    return np.concatenate(chances), question.labels


def _point(fitted: _Models, training: Groups, validation: Groups) -> OperatingPoint:
    """The operating point by the validation repositories, else by cross-fitted predictions of the training ones."""
    production, other, symbols = fitted.production, fitted.other, fitted.symbols
    if not validation:
        is_primary = symbols.table.labels == SYMBOL_CLASSES.index("primary")
        return OperatingPoint(
            relevant=relevant_point(_crossed_questions(training, production.crossed, other.crossed)),
            primary=primary_point(symbols.crossed[:, -1], is_primary),
        )
    held = _table(validation, lambda q: q.symbols)
    chances = probabilities(symbols.model, SYMBOL_FEATURES, held.features)
    judged = [[candidate_chances(production.model, other.model, q) for q in group] for group in validation.values()]
    return OperatingPoint(
        relevant=relevant_point(judged),
        primary=primary_point(chances[:, -1], held.labels == SYMBOL_CLASSES.index("primary")),
    )


def _crossed_questions(groups: Groups, production: Array, other: Array) -> Iterator[list[Judged]]:
    """The questions of each repository from the rows of all of them."""
    first = second = 0
    for questions in groups.values():
        judged = []
        for question in questions:
            own, others = len(question.production.labels), len(question.other.labels)
            chances = np.concatenate([production[first : first + own], other[second : second + others]])
            labels = np.concatenate([question.production.labels, question.other.labels]).astype(np.int64)
            judged.append((chances, labels))
            first, second = first + own, second + others
        yield judged


def _fit(
    groups: Groups,
    pick: Pick,
    names: Sequence[str],
    classes: Sequence[str],
    penalties: Sequence[float] = PENALTIES,
) -> _Fitted:
    table = _table(groups, pick)
    if len(table.labels) < len(names):
        raise UsageError(f"{len(table.labels)} rows are too few for {len(names)} features; name more repositories")
    crossed = {penalty: _crossed(table, len(classes), penalty) for penalty in penalties}
    losses = {penalty: _loss(_softmax(scores), table) for penalty, scores in crossed.items()}
    penalty = min(losses, key=lambda each: losses[each])
    temperature = _temperature(crossed[penalty], table)
    weights = _minimum(table, len(classes), penalty)
    model = LinearModel(
        classes=tuple(classes),
        weights={
            name: tuple(float(f"{weight:.{_DIGITS}g}") for weight in row)
            for name, row in zip((BIAS, *names), weights, strict=True)
        },
        temperature=temperature,
    )
    return _Fitted(model, _softmax(crossed[penalty] / temperature), table)


def _table(groups: Groups, pick: Pick) -> _Table:
    features, labels, weights, owners = [], [], [], []
    rows = sum(len(pick(question).labels) for questions in groups.values() for question in questions)
    for number, questions in enumerate(groups.values()):
        size = sum(len(pick(question).labels) for question in questions)
        features += [pick(question).features for question in questions]
        labels += [pick(question).labels for question in questions]
        weights.append(np.full(size, rows / max(size, 1) / len(groups)))
        owners.append(np.full(size, number))
    return _Table(
        np.concatenate(features).astype(np.float64),
        np.concatenate(labels).astype(np.int64),
        np.concatenate(weights),
        np.concatenate(owners),
    )


def _crossed(table: _Table, classes: int, penalty: float) -> Array:
    """Scores of each row by weights of other repositories."""
    scores = np.zeros((len(table.labels), classes))
    for fold in range(FOLDS):
        held = table.owners % FOLDS == fold
        seen = _Table(table.features[~held], table.labels[~held], table.weights[~held], table.owners[~held])
        weights = _minimum(seen, classes, penalty)
        scores[held] = table.features[held] @ weights[1:] + weights[0]
    return scores


def _minimum(table: _Table, classes: int, penalty: float) -> Array:
    """Weights on the features' own scale, the bias first: (1 + features) x classes."""
    from scipy.optimize import minimize

    mean, scale = table.features.mean(0), table.features.std(0)
    scale = np.where(scale < 1e-9, np.inf, scale)  # a constant feature has no weight
    rows = np.hstack([np.ones((len(table.labels), 1)), (table.features - mean) / scale])
    target, share = np.eye(classes)[table.labels], table.weights[:, None]
    shrunk = np.ones((rows.shape[1], 1)) * penalty
    shrunk[0] = 1e-3

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(-1, classes)
        scores = rows @ weights
        logs = scores - scores.max(1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(1, keepdims=True))
        slope = rows.T @ ((np.exp(logs) - target) * share) + 2 * shrunk * weights
        return float(-(share * logs * target).sum() + (shrunk * weights**2).sum()), slope.ravel()

    start = np.zeros(rows.shape[1] * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    weights = found.x.reshape(-1, classes)
    own = weights[1:] / scale[:, None]
    return np.vstack([weights[:1] - mean @ own, own])


def _temperature(scores: Array, table: _Table) -> float:
    """The temperature with the lowest loss."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: _loss(_softmax(scores / np.exp(log)), table), bounds=(-1.5, 1.5), method="bounded"
    )
    return round(float(np.exp(found.x)), 4)


def _loss(chances: Array, table: _Table) -> float:
    """Mean negative log likelihood, every repository counting the same."""
    own = chances[np.arange(len(table.labels)), table.labels]
    return float(-(table.weights * np.log(own + 1e-12)).sum() / table.weights.sum())


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))
