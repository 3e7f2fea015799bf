"""The tables of the raw and the curated database.

Rows of evidence are only ever added; triggers in the database enforce it.
"""

from store.tables.attributions import AttributionRow
from store.tables.base import CuratedTable, FreeText, RawTable, UtcDateTime, table_of, utc_now
from store.tables.campaigns import (
    Campaign,
    CampaignRun,
    OutcomeRow,
    TaskRun,
    ValidationRow,
    same_attempt,
    same_trajectory,
)
from store.tables.coordination import AnswerRow, Budget, Lease, Reopening, VoidedAnswer
from store.tables.corpus import Blob, InstanceRow, RepoPackageRow, RepositoryContentRow
from store.tables.curated import (
    AdapterMetadata,
    BaseDecisionRow,
    BaseModel,
    EvaluationSetRow,
    Promotion,
    Reservation,
    ReservedContent,
)
from store.tables.evidence import EditRow, EvidenceColumns, PlanRow, RetrievalDecision, RetrievalLlmCall, TestRun
from store.tables.learning import AnswerScore, EvaluationRow, ImprovementStep, TrainingRun
from store.tables.plan_reviews import PlanReviewRow
from store.tables.supplements import SupplementRound, TestQualityRow
from store.tables.training import TrainingDataset, TrainingPlan

__all__ = [
    "AdapterMetadata",
    "AnswerRow",
    "AnswerScore",
    "AttributionRow",
    "BaseDecisionRow",
    "BaseModel",
    "Blob",
    "Budget",
    "Campaign",
    "CampaignRun",
    "CuratedTable",
    "EditRow",
    "EvaluationRow",
    "EvaluationSetRow",
    "EvidenceColumns",
    "FreeText",
    "ImprovementStep",
    "InstanceRow",
    "Lease",
    "OutcomeRow",
    "PlanReviewRow",
    "PlanRow",
    "Promotion",
    "RawTable",
    "Reopening",
    "RepoPackageRow",
    "RepositoryContentRow",
    "Reservation",
    "ReservedContent",
    "RetrievalDecision",
    "RetrievalLlmCall",
    "SupplementRound",
    "TaskRun",
    "TestQualityRow",
    "TestRun",
    "TrainingDataset",
    "TrainingPlan",
    "TrainingRun",
    "UtcDateTime",
    "ValidationRow",
    "VoidedAnswer",
    "same_attempt",
    "same_trajectory",
    "table_of",
    "utc_now",
]
