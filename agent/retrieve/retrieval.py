"""Retrieval: a task becomes a context package.

    task_analysis -> candidates by rank -> scope (files, judged in batches) -> precision (their symbols) -> assembly

The deterministic ranking proposes, the planner judges. Where it does not judge, or its answer cannot be parsed, the
relevance classifier does; what the ranking has from the task's own words (a path, a symbol) cannot be judged away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.asking import Asker, Unanswered
from agent.retrieve import (
    assemble,
    by_worth,
    default_scope,
    estimate_symbols,
    file_outlines,
    judge_symbols,
    rank,
)
from agent.retrieve.batches import FRAMING, file_questions, symbol_questions
from agent.retrieve.judgements import parse_precision, parse_scope, parse_task_analysis
from models.context import (
    Candidate,
    CandidateTier,
    ContextPackage,
    FileJudgement,
    FileOutline,
    Relevance,
    SymbolJudgement,
    TaskAnalysis,
)
from models.errors import PromptTooLong
from models.judging import Slice
from models.protocols import Planner, Recorder, Request, Stage, Task
from repos.index import RepositoryIndex

JUDGED = 30
"""Candidates shown to a judge, best first."""
OVERVIEW_CHARS = 6000
_READERS = (Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.CODE)


def retrieve(task: Task, planner: Planner, index: RepositoryIndex, recorder: Recorder) -> ContextPackage:
    """The context for planning and coding. Raises InfrastructureError when the model could not be reached."""
    return Retrieval(task, planner, index, recorder).run()


def context_budget(planner: Planner) -> int:
    """Tokens of a context package that fit into every later prompt of this planner."""
    return int(min(planner.max_prompt_tokens(stage) for stage in _READERS) * (1 - FRAMING))


@dataclass(frozen=True)
class Retrieval:
    """Retrieval for one task."""

    task: Task
    planner: Planner
    index: RepositoryIndex
    recorder: Recorder

    def run(self) -> ContextPackage:
        """Analyse, rank, judge files, judge symbols, assemble."""
        analysis = self.analyse() if self.planner.judges else None
        candidates = rank(self.task.text, self.index, analysis if self.planner.guides_ranking else None)
        kept = self.scope(analysis, candidates[:JUDGED])
        symbols = self.precision(analysis, kept)
        package = assemble(self.index, kept, symbols, context_budget(self.planner), self.planner.count)
        for left in package.left_out:
            self.recorder.decision(Stage.PRECISION, left.path, "left-out", left.reason)
        return package

    def analyse(self) -> TaskAnalysis | None:
        """The planner's analysis of the task; None if it cannot be parsed."""
        request = Request(stage=Stage.TASK_ANALYSIS, task=self.task, overview=self.index.overview(OVERVIEW_CHARS))
        try:
            return self._asker.ask(request, parse_task_analysis)
        except (Unanswered, PromptTooLong) as unanswered:
            self.recorder.decision(Stage.TASK_ANALYSIS, "task", "unanswered", str(unanswered))
            return None

    def scope(
        self, analysis: TaskAnalysis | None, candidates: Sequence[Candidate]
    ) -> list[tuple[Candidate, Relevance]]:
        """Candidates that are not irrelevant, best first, by the planner's judgement or by the classifier's."""
        by_rank = {each.path: each for each in default_scope(candidates)}
        judged: dict[str, FileJudgement] = {}
        if self._asks(Stage.SCOPE):
            for batch, shown in file_questions(self.task.text, candidates, self.planner):
                judged |= self._judge_files(analysis, batch, shown)
        kept = []
        for candidate in candidates:
            judgement = judged.get(candidate.path, by_rank[candidate.path])
            named = (
                candidate.tier is CandidateTier.MENTIONED and by_rank[candidate.path].relevance is Relevance.RELEVANT
            )
            if named and judgement.relevance is Relevance.IRRELEVANT:
                judgement = FileJudgement(
                    path=candidate.path,
                    relevance=Relevance.SUPPORTING,
                    reason=f"judged irrelevant, but {candidate.reason}",
                )
            by = "judge" if candidate.path in judged else _likelihood(candidate)
            reason = judgement.reason or candidate.reason
            self.recorder.decision(Stage.SCOPE, candidate.path, judgement.relevance.value, f"{by}: {reason}")
            if judgement.relevance is not Relevance.IRRELEVANT:
                kept.append((candidate, judgement.relevance))
        if not judged:
            return by_worth(kept)
        return sorted(kept, key=lambda pair: pair[1] is not Relevance.RELEVANT)

    def _judge_files(
        self, analysis: TaskAnalysis | None, batch: Sequence[Candidate], shown: Slice
    ) -> dict[str, FileJudgement]:
        form = self.planner.question_form.answers
        request = Request(
            stage=Stage.SCOPE, task=self.task, analysis=analysis, candidates=tuple(batch), answers=form, shown=shown
        )
        try:
            return {each.path: each for each in self._asker.ask(request, lambda text: parse_scope(text, batch, form))}
        except (Unanswered, PromptTooLong) as unanswered:
            self.recorder.decision(Stage.SCOPE, batch[0].path, "unanswered", str(unanswered))
            return {}

    def precision(
        self, analysis: TaskAnalysis | None, kept: Sequence[tuple[Candidate, Relevance]]
    ) -> list[SymbolJudgement]:
        """A judgement for each symbol of the files kept, by the planner or by the classifier."""
        estimates = estimate_symbols(self.task.text, self.index, [candidate for candidate, _ in kept])
        found = {(each.path, each.symbol): each for each in judge_symbols(estimates)}
        if self._asks(Stage.PRECISION):
            outlines = file_outlines(self.index, kept, estimates, self.planner.count)
            for batch, shown in symbol_questions(self.task.text, outlines, self.planner):
                judged = self._judge_symbols(analysis, batch, shown)
                for each in judged:
                    self.recorder.decision(Stage.PRECISION, f"{each.path} :: {each.symbol}", each.use.value, "judge")
                found |= {(each.path, each.symbol): each for each in judged}
        return list(found.values())

    def _judge_symbols(
        self, analysis: TaskAnalysis | None, batch: Sequence[FileOutline], shown: Slice
    ) -> list[SymbolJudgement]:
        form = self.planner.question_form.answers
        request = Request(
            stage=Stage.PRECISION, task=self.task, analysis=analysis, outlines=tuple(batch), answers=form, shown=shown
        )
        try:
            return self._asker.ask(request, lambda text: parse_precision(text, batch, form))
        except (Unanswered, PromptTooLong) as unanswered:
            self.recorder.decision(Stage.PRECISION, batch[0].path, "unanswered", str(unanswered))
            return []

    def _asks(self, stage: Stage) -> bool:
        """Whether the planner is asked; if not, the relevance classifier answers."""
        return self.planner.judges and stage not in self.planner.classified

    @property
    def _asker(self) -> Asker:
        return Asker(self.planner, self.recorder)


def _likelihood(candidate: Candidate) -> str:
    estimate = candidate.estimate
    if estimate is None:
        return "rank"
    return f"classifier, relevant {estimate.relevant:.2f}, supporting {estimate.supporting:.2f}"
