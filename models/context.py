"""Results of retrieval: candidates, judgements of files and symbols, and the context package made of them."""

from enum import StrEnum

from pydantic import Field

from models.plans import Frozen


class TaskAnalysis(Frozen):
    """What a task is about, in words that occur in the code: the first stage's answer."""

    kind: str = Field(default="", description="fix, feature, refactoring, ...")
    summary: str = ""
    terms: tuple[str, ...] = Field(default=(), description="words and identifiers to look for")
    files: tuple[str, ...] = Field(default=(), description="paths that the task names or implies")
    symbols: tuple[str, ...] = Field(default=(), description="symbols that the task names or implies")


class CandidateTier(StrEnum):
    """Why a file became a candidate, from the strongest reason to the weakest."""

    MENTIONED = "mentioned"  # the task names the file or one of its symbols
    IMPORTS = "imports"  # one hop of imports from a stronger candidate
    COCHANGE = "co-change"  # ancestors of the commit changed it with a stronger candidate, or have a similar message
    LEXICAL = "lexical"  # its identifiers and path share words with the task


class Relevance(StrEnum):
    """What a file is to a task."""

    RELEVANT = "relevant"  # will have to change
    SUPPORTING = "supporting"  # has to be read
    IRRELEVANT = "irrelevant"

    @property
    def letter(self) -> str:
        """The class in an answer by number: R, S or I."""
        return self.value[0].upper()


class RelevanceEstimate(Frozen):
    """Calibrated probabilities of what a file is to a task; that it is irrelevant has the rest."""

    relevant: float = Field(ge=0, le=1)
    supporting: float = Field(ge=0, le=1)


class Candidate(Frozen):
    """A file that may matter, with the reason; `outline` lists its symbols for a judge."""

    path: str
    score: float
    tier: CandidateTier
    reason: str
    outline: str = ""
    rank: int = Field(default=0, ge=0, description="place among all candidates of the task, from 1; 0 if unknown")
    estimate: RelevanceEstimate | None = Field(default=None, description="by the relevance classifier, if it ran")


class FileJudgement(Frozen):
    """The scope stage's judgement of one file."""

    path: str
    relevance: Relevance
    reason: str = ""


class ScopeJudgement(Frozen):
    """The scope stage's answer by path, so that no file can be judged twice."""

    files: dict[str, Relevance] = Field(default_factory=dict)


class SymbolUse(StrEnum):
    """How much of a symbol the context shows."""

    PRIMARY = "primary"  # will have to change: whole
    SUPPORTING = "supporting"  # has to be understood: whole
    TYPE_CONTEXT = "type_context"  # its signature and docstring are enough
    EXCLUDED = "excluded"

    @property
    def letter(self) -> str:
        """The class in an answer by number: P, S, T or E."""
        return self.value[0].upper()


class SymbolOutline(Frozen):
    """A symbol as the precision stage sees it."""

    name: str
    kind: str
    signature: str
    doc: str = Field(default="", description="first line of its docstring")
    tokens: int = Field(default=0, description="tokens of its whole text")
    rank: int = Field(default=0, ge=0, description="place among its file's symbols, from 1; 0 if unknown")
    likelihood: float | None = Field(
        default=None, ge=0, le=1, description="that it changes if its file does, by the relevance classifier, if it ran"
    )


class FileOutline(Frozen):
    """A file that scope kept, by its symbols in source order, with what the ranking of files knows of it."""

    path: str
    relevance: Relevance
    symbols: tuple[SymbolOutline, ...]
    rank: int = Field(default=0, ge=0, description="as of the candidate")
    score: float = Field(default=0.0, ge=0, description="as of the candidate")
    estimate: RelevanceEstimate | None = Field(default=None, description="as of the candidate")
    total_symbols: int = Field(default=0, ge=0, description="symbols of the whole file; 0 if unknown")


class SymbolJudgement(Frozen):
    """The precision stage's judgement of one symbol."""

    path: str
    symbol: str
    use: SymbolUse


class PrecisionJudgement(Frozen):
    """The precision stage's answer by path, then by symbol."""

    symbols: dict[str, dict[str, SymbolUse]] = Field(default_factory=dict)


class ContextFile(Frozen):
    """A file in the context: whole, or with the bodies of what does not matter left out."""

    path: str
    relevance: Relevance
    text: str
    whole: bool
    tokens: int
    reason: str
    symbols: tuple[SymbolJudgement, ...] = ()


class LeftOut(Frozen):
    """A candidate, or a symbol of one, that is not in the context, and why."""

    path: str
    symbol: str | None = None
    tokens: int
    reason: str


class ContextPackage(Frozen):
    """What planners and coder see of a repository: at most `budget` tokens; contents, omissions, reasons."""

    files: tuple[ContextFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    tokens: int = 0
    budget: int = 0
