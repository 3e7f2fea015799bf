"""The relevance classifier: probabilities of what files and symbols are to a task, without a language model.

Multinomial logistic regression over the ranking's signals, one model each for production files, other files, and
symbols; `cra relevance fit` makes the weights, `classifier.json` holds those in use unless the settings name others.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from agent.retrieve.query import Query
from agent.retrieve.relevance.evidence import Evidence, Features
from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES, SYMBOL_FEATURES
from agent.retrieve.relevance.symbols import FileOfSymbols, symbol_features
from host.files import write_whole
from models.context import Candidate, Relevance, RelevanceEstimate, SymbolUse
from models.errors import ClassifierError
from models.relevance import (
    BIAS,
    FILE_CLASSES,
    FORMAT,
    LEAST_MEAN,
    MEASURED,
    SYMBOL_CLASSES,
    USUAL,
    ClassifierFile,
    LinearModel,
    OperatingPoint,
    SymbolEstimate,
)

SHIPPED = Path(__file__).parent / "classifier.json"
DIGITS = 4
"""Decimals of a probability: the same on every machine, though sums may differ in their last bits."""
_VARIABLE = "CRA_RELEVANCE_FILE"
_REMEDY = "fit one with `cra relevance fit`, or unset relevance_file to use the one that comes with this version"


@dataclass(frozen=True)
class RelevanceClassifier:
    """A fitted classifier. `content` identifies it."""

    file: ClassifierFile
    content: str

    @property
    def point(self) -> OperatingPoint:
        """The least probabilities of `relevant` and `primary`."""
        return self.file.point

    def files(self, evidence: Evidence, candidates: Sequence[Candidate]) -> dict[str, RelevanceEstimate]:
        """An estimate for each candidate of a query, by path."""
        found = {}
        for candidate, production, features in evidence.features(candidates):
            model = self.file.production if production else self.file.other
            _, supporting, relevant = probabilities(model, features)
            found[candidate.path] = RelevanceEstimate(
                relevant=round(relevant, DIGITS), supporting=round(supporting, DIGITS)
            )
        return found

    def symbols(self, query: Query, judged: FileOfSymbols) -> dict[str, SymbolEstimate]:
        """An estimate for each symbol of a file, by name."""
        found = {}
        for symbol, features in zip(judged.file.symbols, symbol_features(query, judged), strict=True):
            _, type_context, supporting, primary = probabilities(self.file.symbols, features)
            found[symbol.name] = SymbolEstimate(
                primary=round(primary, DIGITS),
                supporting=round(supporting, DIGITS),
                type_context=round(type_context, DIGITS),
            )
        return found


def probabilities(model: LinearModel, features: Features) -> list[float]:
    """The probability of each class, in the order of the model's classes; they add up to 1."""
    scores = list(model.weights[BIAS])
    for name, value in features.items():
        if value:
            for number, weight in enumerate(model.weights[name]):
                scores[number] += weight * value
    most = max(scores)
    raised = [math.exp((score - most) / model.temperature) for score in scores]
    whole = sum(raised)
    return [each / whole for each in raised]


def least_relevant(chances: Sequence[float], point: OperatingPoint) -> float:
    """The probability from which on a file is relevant, for those of all candidates of a question, best first."""
    measured = chances[:MEASURED]
    mean = sum(measured) / len(measured) if measured else USUAL
    return point.relevant * math.sqrt(max(mean, LEAST_MEAN) / USUAL)


def file_classes(estimates: Sequence[RelevanceEstimate], point: OperatingPoint) -> list[Relevance]:
    """The classes of a question's candidates: relevant from `least_relevant` on, else the likelier of the others."""
    least = least_relevant([each.relevant for each in estimates], point)
    return [class_at(each, least) for each in estimates]


def class_at(estimate: RelevanceEstimate, least: float) -> Relevance:
    """The class of one candidate: relevant from `least` on, else the likelier of the others."""
    if estimate.relevant >= least:
        return Relevance.RELEVANT
    neither = 1 - estimate.relevant - estimate.supporting
    return Relevance.SUPPORTING if estimate.supporting > neither else Relevance.IRRELEVANT


def symbol_class(estimate: SymbolEstimate, point: OperatingPoint) -> SymbolUse:
    """The class of a symbol: primary from the operating point on, else the likeliest of the others."""
    if estimate.primary >= point.primary:
        return SymbolUse.PRIMARY
    excluded = 1 - estimate.primary - estimate.supporting - estimate.type_context
    chances = {
        SymbolUse.SUPPORTING: estimate.supporting,
        SymbolUse.TYPE_CONTEXT: estimate.type_context,
        SymbolUse.EXCLUDED: excluded,
    }
    return max(chances, key=lambda use: chances[use])


def in_force() -> RelevanceClassifier:
    """The classifier that the settings name, else the shipped one; read once per process.

    Raises ClassifierError as `read_classifier` does, SettingsError.
    """
    return _named(os.environ.get(_VARIABLE), Path.cwd())


@lru_cache(maxsize=4)
def _named(variable: str | None, folder: Path) -> RelevanceClassifier:
    from host.settings import load_settings

    return read_classifier(load_settings().relevance_file or SHIPPED)


def read_classifier(path: Path) -> RelevanceClassifier:
    """The classifier of a file. Raises ClassifierError, in one line, for a file that is missing, corrupt, of another
    version or of other features, or holds a number that is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClassifierError(f"relevance classifier {path} cannot be read: {error.strerror}; {_REMEDY}") from error
    except ValueError as error:  # no UTF-8, or no JSON
        raise ClassifierError(f"relevance classifier {path} is not JSON: {error}; {_REMEDY}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        shown = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise ClassifierError(f"relevance classifier {path} has format {shown!r}, not {FORMAT!r}; {_REMEDY}")
    stated = data.pop("content", None)
    try:
        file = ClassifierFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ClassifierError(f"relevance classifier {path}: {where}: {first['msg']}; {_REMEDY}") from error
    if stated != file.content:
        raise ClassifierError(f"relevance classifier {path} is not what was written: its hash differs; {_REMEDY}")
    _check_models(path, file)
    return RelevanceClassifier(file, file.content)


def _check_models(path: Path, file: ClassifierFile) -> None:
    wanted: Mapping[str, tuple[LinearModel, Sequence[str], Sequence[str]]] = {
        "production": (file.production, FILE_CLASSES, PRODUCTION_FEATURES),
        "other": (file.other, FILE_CLASSES, OTHER_FEATURES),
        "symbols": (file.symbols, SYMBOL_CLASSES, SYMBOL_FEATURES),
    }
    for name, (model, classes, features) in wanted.items():
        if model.classes != tuple(classes):
            raise ClassifierError(
                f"relevance classifier {path}: {name} has classes {', '.join(model.classes)}; {_REMEDY}"
            )
        odd = set(model.weights) ^ {BIAS, *features}
        if odd:
            raise ClassifierError(
                f"relevance classifier {path}: {name} has other features than this version, "
                f"{sorted(odd)[0]!r} for one; {_REMEDY}"
            )


def write_classifier(file: ClassifierFile, path: Path) -> str:
    """Write a classifier with its hash, the same bytes for the same content; returns the hash.

    A killed process leaves what was there before. Raises InfrastructureError if it cannot be written.
    """
    text = json.dumps({**file.model_dump(mode="json"), "content": file.content}, indent=1, sort_keys=True)
    write_whole(path, text + "\n")
    return file.content
