"""The relevance classifier as data: linear models with calibrated probabilities, and what it estimated for a task."""

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from models.context import RelevanceEstimate
from models.plans import Frozen

FORMAT: Literal["relevance-1"] = "relevance-1"
"""Version of the file's form and of the features' meaning."""
BIAS = "bias"
"""The feature that is 1 for everything."""
USUAL = 0.1
"""Mean P(relevant) of a question's candidates for which an operating point is stated."""
FILE_CLASSES = ("irrelevant", "supporting", "relevant")
SYMBOL_CLASSES = ("excluded", "type_context", "supporting", "primary")
LEAST_MEAN = 1e-9
"""The least mean probability of a question's candidates that its threshold goes by."""
MEASURED = 30
"""Candidates, the best of a question, whose mean its threshold goes by: as many as it was chosen on."""


class SymbolEstimate(Frozen):
    """Calibrated probabilities of what a symbol is to a task; that it is excluded has the rest."""

    primary: float = Field(ge=0, le=1)
    supporting: float = Field(ge=0, le=1)
    type_context: float = Field(ge=0, le=1)


class Estimates(Frozen):
    """What one version of the classifier estimated for a task: files by path, symbols by path and name.

    A frozen evaluation item keeps these, so that a later classifier does not change what it is compared with.
    """

    classifier: str = Field(description="content hash of the classifier")
    files: dict[str, RelevanceEstimate] = Field(default_factory=dict)
    symbols: dict[str, dict[str, SymbolEstimate]] = Field(default_factory=dict)


class LinearModel(Frozen):
    """Multinomial logistic regression: for each class the weights of the features on their own scale.

    Class scores are divided by `temperature`, which calibrates them (Guo et al. 2017), before the softmax.
    """

    classes: tuple[str, ...] = Field(min_length=2)
    weights: dict[str, tuple[FiniteFloat, ...]] = Field(description="for each feature one weight per class")
    temperature: FiniteFloat = Field(gt=0)

    @model_validator(mode="after")
    def _one_weight_per_class(self) -> Self:
        for feature, weights in self.weights.items():
            if len(weights) != len(self.classes):
                raise ValueError(f"feature {feature!r} has {len(weights)} weights for {len(self.classes)} classes")
        return self


class OperatingPoint(Frozen):
    """Least probabilities: of `relevant` for a file and `primary` for a symbol, chosen on validation repositories.

    That of `relevant` holds where the mean over a question's candidates is `USUAL`, and goes with the root of the mean:
    one value for all finds nearly everything where few files make every one likely, and too little where many share.
    """

    relevant: float = Field(gt=0, lt=1)
    primary: float = Field(gt=0, lt=1)


class Calibration(Frozen):
    """How far probabilities were off on the calibration repositories: expected calibration error in ten bins."""

    files: FiniteFloat = Field(ge=0, le=1)
    relevant: FiniteFloat = Field(ge=0, le=1)
    symbols: FiniteFloat = Field(ge=0, le=1)


class ClassifierFile(Frozen):
    """A fitted relevance classifier: models of production files, of other files and of symbols.

    `trained_on` and `calibrated_on` are the repositories' names; `questions` and `rows` count what was learned from.
    """

    format: Literal["relevance-1"] = FORMAT
    trained_on: tuple[str, ...] = Field(min_length=1)
    calibrated_on: tuple[str, ...]
    questions: int = Field(gt=0)
    rows: int = Field(gt=0)
    production: LinearModel
    other: LinearModel
    symbols: LinearModel
    point: OperatingPoint
    calibration: Calibration | None = None

    @property
    def content(self) -> str:
        """SHA-256 of the content, in canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
