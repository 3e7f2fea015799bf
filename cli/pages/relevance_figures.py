"""Figures of `cra relevance evaluate`: as tables, as JSON, as a picture."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import console, table
from models.relevance import ClassifierFile

if TYPE_CHECKING:
    from evals.relevance.contexts import ContextFigures
    from evals.relevance.evaluation import RepositoryFigures
    from evals.relevance.questions import LabelledQuestion
    from evals.retrieval import Context

_ORDERS = ("ranking", "classifier", "baseline")
_COLUMNS = ["accuracy", "recall", "precision", "macro F1", "AP", "symbols: accuracy", "primary recall", "precision "]


@dataclass(frozen=True)
class Figures:
    """Figures of an evaluation: by repository, and of all questions together."""

    repositories: "Sequence[RepositoryFigures]"
    questions: "Sequence[LabelledQuestion]"
    packages: "Sequence[Context]"

    @property
    def contexts(self) -> "ContextFigures | None":
        """Figures of all contexts; None if none were assembled."""
        from evals.relevance.contexts import context_figures

        return context_figures(self.packages) if self.packages else None

    def described(self, file: ClassifierFile, content: str) -> dict[str, Any]:
        """For machines."""
        from evals.relevance.evaluation import judged_candidates, judged_symbols

        candidates, symbols = judged_candidates(file, self.questions), judged_symbols(file, self.questions)
        together = {
            "candidates": asdict(candidates.figures()),
            "symbols": asdict(symbols.figures()) if len(symbols.labels) else None,
            "contexts": asdict(self.contexts) if self.contexts else None,
            "reliability": [asdict(each) for each in candidates.reliability()],
        }
        return {
            "classifier": content,
            "point": file.point.model_dump(),
            "repositories": [asdict(each) for each in self.repositories],
            "mean": _means(self.repositories),
            "together": together,
        }

    def print(self, file: ClassifierFile) -> None:
        """For people."""
        from evals.relevance.evaluation import judged_candidates

        means = _means(self.repositories)
        rows: list[tuple[object, ...]] = [
            (each.name, each.questions, f"{each.files:.0f}", *_cells(_flat(each))) for each in self.repositories
        ]
        rows.append(("mean", sum(each.questions for each in self.repositories), "", *_cells(means)))
        columns = ["repository", "questions", "files", *_COLUMNS]
        table(
            f"At P(relevant) >= {file.point.relevant:g} x root of ten times its mean", columns, rows, right=columns[1:]
        )
        table(
            "recall of changed files",
            ["order", "@1", "@5", "@10"],
            [(name, *(f"{means[f'{name} @{most}']:.3f}" for most in (1, 5, 10))) for name in _ORDERS],
            right=["@1", "@5", "@10"],
        )
        together = judged_candidates(file, self.questions).figures()
        console.print(
            f"all {together.rows} candidates: calibration error {together.class_error:.3f} of P(relevant), "
            f"{together.confidence_error:.3f} of the likeliest class"
        )
        if self.contexts:
            symbols = "-" if self.contexts.symbols is None else f"{self.contexts.symbols:.1%}"
            console.print(
                f"contexts: {self.contexts.complete:.1%} of {self.contexts.questions} hold all changed files, median "
                f"{self.contexts.median_tokens:.0f} tokens, changed symbols whole {symbols}"
            )

        seen = sorted({each.name for each in self.repositories} & {*file.trained_on, *file.calibrated_on})
        if seen:
            console.print(f"fitted on {', '.join(seen)}: figures of these flatter", markup=False, soft_wrap=True)

    def draw(self, file: ClassifierFile, path: Path) -> None:
        """A reliability plot as PNG."""
        from cli.pages.reliability import draw_reliability
        from evals.relevance.evaluation import judged_candidates, judged_symbols

        curves = {
            "relevant file": judged_candidates(file, self.questions).reliability(),
            "primary symbol": judged_symbols(file, self.questions).reliability(),
        }
        draw_reliability(curves, path)


def _flat(each: "RepositoryFigures") -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for group, figures in (("candidates", each.candidates), ("symbols", each.symbols)):
        for name in ("accuracy", "recall", "precision", "macro_f1", "average_precision", "class_error"):
            found[f"{group} {name}"] = None if figures is None else getattr(figures, name)
    for order in _ORDERS:
        scores = getattr(each, order)
        found |= {f"{order} @{most}": recall for most, recall in zip((1, 5, 10), scores.recalls, strict=True)}
    return found


def _means(repositories: "Sequence[RepositoryFigures]") -> dict[str, float | None]:
    flat = [_flat(each) for each in repositories]
    found: dict[str, float | None] = {}
    for name in flat[0]:
        values = [value for each in flat if (value := each[name]) is not None]
        found[name] = sum(values) / len(values) if values else None
    return found


def _cells(found: dict[str, float | None]) -> list[str]:
    names = [f"candidates {name}" for name in ("accuracy", "recall", "precision", "macro_f1", "average_precision")]
    names += [f"symbols {name}" for name in ("accuracy", "recall", "precision")]
    return ["-" if (value := found[name]) is None else f"{value:.3f}" for name in names]
