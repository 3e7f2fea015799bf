"""What stored data is written in, by name: values of enumerations, fields of records, columns of tables, settings."""

from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import BaseModel

from evals.scoring import Answered
from flows.campaign import campaign
from flows.curate import curate
from flows.evaluate import evaluate
from flows.evaluate_base import evaluate_base
from flows.ingest import ingest
from flows.operate import operate
from flows.prepare import prepare
from flows.score import score
from flows.self_improve import self_improve
from flows.solve import solve
from flows.supplement import supplement
from flows.train import train
from flows.tune import tune
from flows.validate import validate
from harness.mining.messages import MessageFault
from harness.runs.attempt import AttemptResult, File
from harness.runs.solving import FullCheck, SolveOrder
from harness.supplement.messages.asking import KeptAnswer
from harness.validation.confirmation.recorded import GoldGuardEvents, KeptTwin, Module, TwinSet, keep_recorded
from host.settings import settings_with_sources
from models.attribution import Attribution, CodePlace, Evidence, Experiment, Label
from models.base_evaluation import (
    BaseReport,
    Forgetting,
    ForgettingBounds,
    ObjectiveTest,
    PlanningEvidence,
    PlanningTest,
    RowLoss,
    WindowControl,
)
from models.campaign_settings import StepTestMode
from models.causes import Cause, Layer, TestCategory
from models.chat import Message
from models.class_bias import ClassBias
from models.comparisons import Comparison, Criterion, Part
from models.confirmation import Confirmation
from models.content import RepositoryContent
from models.context import (
    Candidate,
    CandidateTier,
    ContextFile,
    ContextPackage,
    FileJudgement,
    FileOutline,
    LeftOut,
    PrecisionJudgement,
    Relevance,
    ScopeJudgement,
    SymbolJudgement,
    SymbolOutline,
    SymbolUse,
    TaskAnalysis,
)
from models.edits import CreateFile, DeleteFile, EditFormat, EditResult, RenameFile, Rung, SearchReplace, SymbolEdit
from models.evaluation import (
    ClassifierContest,
    ClassJudgement,
    ControlReport,
    Evaluation,
    EvaluationItem,
    EvaluationSet,
    GateReport,
    GateVerdict,
    ItemScore,
    MetricTest,
    Subject,
)
from models.generated import Failing, GeneratedFile, GeneratedTests
from models.intake import ArrivedPackage, CheckOutcome, IntakeEvent, IntakeVerdict
from models.judging import AnswerForm, QuestionForm, Slice
from models.manifest import (
    Change,
    Commit,
    DropReason,
    Environment,
    ExcludedTest,
    Instance,
    InvalidReason,
    Manifest,
    MiningFunnel,
    PlanningType,
    SampledSuite,
)
from models.messages import MessageRecord, MessageRefusal, MessageState, RubricScores, TaskSource
from models.objectives import Objective
from models.outcomes import Blame, OracleKind, OutcomeKind, Validation
from models.plan_reviews import GivenReview, GivenReviews, ReviewVerdict
from models.plans import (
    Action,
    MetaPlan,
    MetaPlanPart,
    PartPlan,
    PlanAdjustment,
    PlanStep,
    StepResult,
    StepStatus,
    Target,
    TestPlan,
    Verdict,
)
from models.predictions import NotJudged
from models.protocols import Answer, Request, SourceFile, Stage, Task
from models.refusals import RefusalReason
from models.settings import Settings
from models.solution import Solution, StopReason
from models.suite import CaseResult, CaseStatus, Fault, SuiteEnd, SuiteReport
from models.supplements import Refusal, Supplement, TeacherReply, TeacherRound, Trial
from models.targets import TrainingTarget
from models.test_quality import Mutant, MutantOutcome, TestQuality
from models.training import Pair, PairSource, Preference, Provenance
from training.adapters.registry.base_statement import BaseLineage, BaseStatement
from training.adapters.registry.statement import Lineage, Resource, Statement
from training.cycle.base_measures import BaseMeasures
from training.cycle.served_base import ServedBase
from training.data.curation.advice import TrainingAdvice, TrainingNeed
from training.data.curation.card import Card, Rounds
from training.data.scoring import Opinion
from training.fit.recipe import Recipe
from training.fit.result import Fit
from training.operation.inventory import RetentionItem, RetentionKind
from training.operation.log import EventKind, OperationEvent
from training.operation.measuring import Measure
from training.operation.standing import Standing

VALUES: list[tuple[type[StrEnum], str]] = [
    (EventKind, "begin retention round measure upkeep end deleted standing clock continued"),
    (RetentionKind, "checkpoints cache environments unfinished datasets"),
    (Label, "retrieval plan code undetermined"),
    (StepTestMode, "auto on off"),
    (CandidateTier, "mentioned imports co-change lexical"),
    (AnswerForm, "letters paths"),
    (Relevance, "relevant supporting irrelevant"),
    (SymbolUse, "primary supporting type_context excluded"),
    (EditFormat, "search-replace whole-symbol"),
    (Rung, "exact indent-shift elision symbol file"),
    (GateVerdict, "promote reject inconclusive"),
    (ReviewVerdict, "good fine bad"),
    (Objective, "style role planning window position"),
    (Failing, "assertion exception import collection run"),
    (PlanningType, "meta step test all"),
    (
        DropReason,
        "unreadable root merge automated version-bump docs-only ci-only no-code binary unreadable-path "
        "too-many-files too-many-lines",
    ),
    (
        InvalidReason,
        "no-fail-to-pass flaky needs-newer-python needs-other-platform no-tests not-python unsupported-change "
        "gold-fails impossible-date indistinct unresolvable no-wheel build-failed collection-error skipped-tests "
        "shadowed timeout crashed not-tried",
    ),
    (Layer, "commit resolution download build configuration collection import fixture test budget"),
    (
        TestCategory,
        "doctest flaky gone only-at-commit skipped expected-failure broken missing-module missing-program "
        "missing-file missing-fixture missing-locale missing-time-zone missing-network missing-display "
        "missing-terminal needs-root needs-resources read-only version-mismatch",
    ),
    (OracleKind, "f2p-p2p generated-tests structural"),
    (Blame, "none plan code undetermined infrastructure environment"),
    (
        OutcomeKind,
        "passed passed-unconfirmed no-regression untested "
        "plan-malformed planner-stopped limits-reached empty-patch edit-rejected tests-"
        "failed regression tests-timeout tests-crashed build-failed tampered unreadable prompt-too-long provider-"
        "error cap-reached harness-error sandbox-error disk-full time-limit environment-broken flaky",
    ),
    (Action, "create modify delete rename"),
    (Verdict, "continue revise stop"),
    (StepStatus, "done edit-rejected tests-failed not-run"),
    (NotJudged, "empty-patch does-not-apply unknown-instance invalid-instance"),
    (Stage, "task_analysis scope precision meta_plan part_plan code test_plan adjustment"),
    (
        StopReason,
        "finished stopped plan-malformed too-many-parts too-many-steps too-many-revisions prompt-too-long",
    ),
    (CaseStatus, "passed failed error skipped xfailed"),
    (SuiteEnd, "completed no-tests usage timeout crashed not-run output-limit"),
    (TrainingTarget, "task_analysis scope precision code planning critic"),
    (Criterion, "correctness error-handling task"),
    (Part, "training validation held-out"),
    (MutantOutcome, "killed survived equivalent left-out"),
    (
        PairSource,
        "harness synthetic synthetic-direct logged lintseq random-deletion search-replace-infilling fail-fast "
        "plan-artifacts position comparisons open-code-instruct commitpackft code-feedback oss-instruct evol-instruct "
        "evol-instruct-80k open-coder d3 swe-bench",
    ),
    (
        Refusal,
        "prompt-too-long no-tests reaches-into-runner not-collected fails-on-commit passes-on-parent flaky timeout "
        "crashed disturbs-suite suite-broken",
    ),
    (IntakeVerdict, "accepted updated already-here refused checked"),
    (
        RefusalReason,
        "unreadable no-answer disk-full machine no-package not-a-file privileged other-file-system bad-name "
        "name-collision too-long too-deep too-large too-many-files changed executable archive foreign-file "
        "schema manifest identity wheel wheel-set wheel-altered wheel-platform wheel-shadows wheel-startup "
        "wheel-script git-files git-refs git-size git-objects git-submodule reserved-copy name-taken downgrade "
        "rewritten update-conflict environment no-valid-instance",
    ),
    (MessageFault, "short generic no-action"),
    (MessageState, "accepted refused"),
    (
        MessageRefusal,
        "no-diff malformed short generic no-action url trailer quotes-diff unrelated below-threshold",
    ),
]

FIELDS: list[tuple[type[BaseModel], str]] = [
    (ArrivedPackage, "source listing name identity content head files bytes wheels known_wheels plugins valid"),
    (CheckOutcome, "check passed seconds"),
    (IntakeEvent, "id at verdict package reason detail identity use valid lost checks seconds"),
    (
        Answer,
        "text reasoning model adapter prompt prompt_tokens cached_tokens completion_tokens cost latency "
        "temperature seed finish_reason retries endpoint second fallback reused answer_id",
    ),
    (
        Request,
        "stage task overview analysis candidates outlines answers shown context meta part plan step for_tests files "
        "edit_format attempt failure results changes",
    ),
    (SourceFile, "path text"),
    (Task, "text repository base"),
    (SuiteReport, "end exit_code seconds cases collection_errors output command faults unfinished"),
    (CaseResult, "id status seconds message fault"),
    (Fault, "error text module then"),
    (Validation, "key oracle kind f2p_passed f2p_failed p2p_failed p2p_not_run seconds detail confirmation"),
    (Confirmation, "sentinels seen witnessed twins agreed differs"),
    (Attribution, "label reason version evidence"),
    (Evidence, "outcome retrieved unseen omitted foreign failed_steps experiments"),
    (Experiment, "name kind validation detail"),
    (CodePlace, "path symbol"),
    (MetaPlan, "rationale parts"),
    (MetaPlanPart, "id title description targets depends_on"),
    (Target, "path symbol action new_path"),
    (PartPlan, "part_id rationale steps"),
    (PlanAdjustment, "verdict reason parts"),
    (PlanStep, "id description targets depends_on"),
    (StepResult, "part_id step_id status attempts detail"),
    (TestPlan, "part_id rationale steps covers"),
    (CreateFile, "kind path content executable"),
    (DeleteFile, "kind path"),
    (EditResult, "edit rung error before_hash after_hash"),
    (RenameFile, "kind path new_path"),
    (SearchReplace, "kind path search replace"),
    (SymbolEdit, "kind path symbol op body"),
    (Candidate, "path score tier reason outline rank estimate"),
    (ContextFile, "path relevance text whole tokens reason symbols"),
    (ContextPackage, "files left_out tokens budget"),
    (FileJudgement, "path relevance reason"),
    (FileOutline, "path relevance symbols rank score estimate total_symbols"),
    (LeftOut, "path symbol tokens reason"),
    (PrecisionJudgement, "symbols"),
    (ScopeJudgement, "files"),
    (SymbolJudgement, "path symbol use"),
    (SymbolOutline, "name kind signature doc tokens rank likelihood"),
    (Slice, "first last total"),
    (QuestionForm, "answers files symbols"),
    (TaskAnalysis, "kind summary terms files symbols"),
    (Evaluation, "set_id target subject settings scores seconds"),
    (EvaluationItem, "id stage repository instance commit messages expected answer_tokens"),
    (EvaluationSet, "target repositories items"),
    (GateReport, "target champion challenger set_id verdict reason tests contest control"),
    (ControlReport, "examples matched note beaten tests lacks steps matched_steps tokens matched_tokens"),
    (
        BaseReport,
        "role champion challenger verdict reason stages objectives forgetting bounds planning held_out notes served "
        "window",
    ),
    (WindowControl, "window whole control verdict reason"),
    (ServedBase, "campaign answers tokens ratio"),
    (
        ObjectiveTest,
        "objective champion challenger difference low high p_repository p_adjusted rows repositories",
    ),
    (
        PlanningTest,
        "type figure champion challenger difference low high p_repository p_adjusted instances repositories",
    ),
    (PlanningEvidence, "campaigns models tests reviews"),
    (Forgetting, "kind prompts tokens before after agreement"),
    (ForgettingBounds, "rise agreement"),
    (RowLoss, "row repository loss"),
    (BaseMeasures, "champion challenger forgetting"),
    (
        BaseLineage,
        "role base parent parent_name dataset datasets plan config code_revision trained_at",
    ),
    (BaseStatement, "_type subject predicateType predicate"),
    (ItemScore, "item repository seed scores judgements"),
    (ClassJudgement, "expected given probability place"),
    (
        ClassifierContest,
        "classifier repositories reason alone adapter together p_beats p_adds holds",
    ),
    (
        MetricTest,
        "metric primary champion challenger difference low high p_repository p_item p_adjusted detectable "
        "threshold items repositories power needed",
    ),
    (Subject, "name base adapter class_bias"),
    (GeneratedFile, "path sha256"),
    (GeneratedTests, "oracle files told_apart instead_of instead_of_detail model prompt_hash answer_hash round"),
    (Change, "path old_path added deleted kind"),
    (Commit, "sha parent subject message author_date committed changes planning_types symbols needs_message"),
    (Environment, "key python abi requires cutoff lock wheels days_after late_because"),
    (ExcludedTest, "id reason category"),
    (Cause, "layer error text remedy category"),
    (SampledSuite, "files affected share of"),
    (
        MessageRecord,
        "commit original fault text state reason detail scores threshold model judge prompt_hashes judge_prompt_hash "
        "cost key",
    ),
    (RubricScores, "fidelity specificity task_form no_invention"),
    (TaskSource, "model judge score prompt_hash"),
    (KeptAnswer, "key reply"),
    (MiningFunnel, "total dropped needs_message kept mixed"),
    (
        Instance,
        "instance_id commit base_commit task planning_types production_files test_files symbols version "
        "environment build fail_to_pass pass_to_pass excluded reason detail generated cause "
        "sampled message",
    ),
    (
        Manifest,
        "schema_version name source license organisation domain head python test_command lines_of_code flags "
        "funnel environments wheels instances",
    ),
    (Pair, "stage source messages answer reasoning weight provenance"),
    (Comparison, "criterion part task place better worse evidence provenance"),
    (Preference, "stage source kind messages chosen rejected weight chosen_by rejected_by"),
    (
        Provenance,
        "campaign trajectory attempt seq instance repository organisation domain license commit base_commit "
        "planner model adapter outcome oracle attribution alignment task_model",
    ),
    (Mutant, "path start end names fate by how"),
    (TestQuality, "tests unsteady changed missed mutants seconds note"),
    (RepositoryContent, "roots shingles sketch"),
    (Solution, "meta part_plans test_plans step_results context stopped_reason detail"),
    (Message, "role content"),
    (File, "text executable"),
    (AttemptResult, "patch files end detail alignment solution"),
    (
        TeacherReply,
        "text model finish_reason prompt_tokens cached_tokens completion_tokens cost latency retries seed prompt",
    ),
    (TeacherRound, "number prompt reply files trial"),
    (Supplement, "before rounds taken instance"),
    (Trial, "refusal detail told_apart dropped fail_to_pass pass_to_pass excluded seconds"),
    (KeptTwin, "id origin line before value gold"),
    (Module, "path source"),
    (TwinSet, "modules kept tried reason"),
    (GoldGuardEvents, "places forged"),
    (FullCheck, "before after broken new seconds"),
    (SolveOrder, "task repository revision gold tests"),
    (
        Recipe,
        "method rank modules dropout learning_rate warmup weight_decay max_gradient beta optimizer precision "
        "quantisation gradient_checkpointing packing epochs patience batch_size micro_batch max_tokens max_steps "
        "cpu_bf16 thinking curriculum validation_rows checkpoint_steps seed forced_weight class_balance class_beta "
        "class_cap early_stopping answer_logits dpo_loss rpo_alpha margin_weights max_too_long pacing "
        "reasoning_weight masters mixture watch",
    ),
    (
        Fit,
        "adapter_dir backend steps best_step tokens seconds rows too_long micro_batch losses eval_losses overrides "
        "too_long_by_stage margins class_bias changed objectives",
    ),
    (ClassBias, "offsets tokens decisions macro_f1_without macro_f1_with macro_f1_across least_recall note"),
    (
        TrainingNeed,
        "target examples preferences repositories organisations failures answers malformed need advice waits",
    ),
    (
        TrainingAdvice,
        "kind needs weakest reason planners trajectories undetermined campaigns templates in_turn held_out",
    ),
    (
        Card,
        "id target examples sources stages classes repositories organisations domains licenses planners tokens "
        "rounds funnel preference_funnel files config templates window mixed",
    ),
    (Rounds, "earlier pool new replayed whole"),
    (Lineage, "target adapter base base_name dataset parents plan config code_revision evaluations trained_at"),
    (Resource, "name digest"),
    (Statement, "_type subject predicateType predicate"),
    (Opinion, "score reason model prompt_tokens completion_tokens cost"),
    (Answered, "item seed text seconds"),
    (OperationEvent, "turn kind at result"),
    (Standing, "state rule reason"),
    (Measure, "turn round adapters samples"),
    (RetentionItem, "kind path bytes why"),
    (GivenReview, "sample verdict note"),
    (GivenReviews, "campaign reviews"),
]

SETTINGS = """
data_dir cache_dir corpus_dir relevance_file raw_database curated_database air_gapped air_gapped_hosts sandbox
concurrency environment_budget_gib
guardrails.replay_least
guardrails.replay_most guardrails.rounds guardrails.small_base guardrails.teacher_share guardrails.pass_at_k_margin
guardrails.end_to_end_margin guardrails.end_to_end_alpha guardrails.looks guardrails.steady_margin
guardrails.steady_instances
guardrails.plateau_rounds guardrails.plateau_gain guardrails.plateau_power
guardrails.forgetting_rise guardrails.forgetting_agreement
limits.wall_seconds limits.memory_bytes limits.processes limits.file_bytes limits.disk_bytes limits.output_bytes
limits.kept_output_bytes campaign.ask_above_cost campaign.trajectories campaign.step_test_seconds
campaign.measure_tests campaign.shard_seconds campaign.provider_failures curation.min_organisations
curation.max_domain_share
curation.lucky_alignment curation.lucky_weight curation.unjudged_weight curation.least_score curation.scored_weight
curation.direct_weight curation.direct_share curation.generated_weight curation.near_duplicate
curation.ngram curation.overlap curation.replay
curation.uniform_share curation.seeking_share curation.stage_share curation.validation
curation.preferences_per_prompt curation.both_orders curation.judging_weight
intake.max_bytes intake.max_file_bytes intake.max_files intake.max_depth intake.max_path intake.max_object_bytes
intake.max_objects intake.max_unpacked intake.max_tree_files intake.max_tree_bytes intake.read_seconds
intake.read_hours intake.package_hours
distillation.task_analysis.least distillation.task_analysis.target
distillation.scope.least distillation.scope.target
distillation.precision.least distillation.precision.target
distillation.code.least distillation.code.target
distillation.code_preferences.least distillation.code_preferences.target
distillation.meta_plan.least distillation.meta_plan.target
distillation.part_plan.least distillation.part_plan.target
distillation.test_plan.least distillation.test_plan.target
distillation.planning_preferences.least distillation.planning_preferences.target
distillation.style.least distillation.style.target
distillation.position.least distillation.position.target
loop.max_parts loop.max_steps
loop.max_revisions mining.max_files mining.max_lines mining.min_words operation.disk_budget_gib
operation.least_free_gib operation.vacuum_share serving.python serving.package
serving.max_loras serving.max_cpu_loras serving.window serving.dtype serving.arguments serving.environment
serving.startup serving.restarts training.backend training.endpoint training.rank training.code_rank
training.learning_rate training.dpo_learning_rate training.full_learning_rate training.full_masters
training.dpo_beta
training.dpo_loss training.dpo_margin_weights training.dpo_rpo_alpha training.warmup
training.epochs training.dpo_epochs training.patience training.batch_size training.micro_batch training.max_tokens
training.max_too_long training.max_steps training.packing training.cpu_bf16 training.thinking training.validation_rows
training.checkpoint_steps training.seed training.pacing training.reasoning_weight
training.control_arm training.answer_logits training.forced_weight
training.class_balance training.class_beta training.class_cap training.early_stopping
models.endpoints models.roles.reasoning models.roles.coding
models.roles.generalist models.teachers.reasoning models.teachers.planning models.teachers.coding
models.teachers.check models.overrides models.windows
"""


@pytest.mark.parametrize(("enumeration", "values"), VALUES, ids=[each.__name__ for each, _ in VALUES])
def test_values_are_those_that_are_stored(enumeration: type[StrEnum], values: str) -> None:
    assert [each.value for each in enumeration] == values.split()


@pytest.mark.parametrize(("record", "fields"), FIELDS, ids=[each.__name__ for each, _ in FIELDS])
def test_fields_are_those_that_are_stored(record: type[BaseModel], fields: str) -> None:
    assert [field.alias or name for name, field in record.model_fields.items()] == fields.split()


def test_settings_go_by_the_names_that_configurations_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a checkout may hold a cra.toml
    assert [name for name, _, _ in settings_with_sources(Settings())] == SETTINGS.split()


def test_flows_go_by_the_names_that_deployments_use() -> None:
    flows = (
        campaign, curate, evaluate, evaluate_base, ingest, operate, prepare, score, self_improve, solve, supplement,
        train, tune, validate,
    )  # fmt: skip
    names = (
        "campaign curate evaluate evaluate-base ingest operate prepare score self-improve solve supplement train tune "
        "validate"
    )
    assert [each.name for each in flows] == names.split()


def test_what_is_recorded_of_confirmations_lies_in_the_files_that_are_read(tmp_path: Path) -> None:
    keep_recorded(tmp_path, "key", TwinSet())
    keep_recorded(tmp_path, "key", GoldGuardEvents(places=(), forged=()))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["key.json", "key.usual.json"]
