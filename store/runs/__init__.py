"""The raw store: what the harness writes to and reads from the raw database."""

from store.keys import campaign_key, digest, instance_key, trajectory_key, validation_key
from store.runs.events import Trace
from store.runs.exports import ExportedTrajectory, ExportGroup
from store.runs.faults import FaultReason
from store.runs.funnel import CampaignFunnel, PlannerFunnel, Reached
from store.runs.latencies import StageLatency
from store.runs.measurements import OwnTests
from store.runs.raw import RawStore, open_raw_store
from store.runs.recorder import AttemptRecorder
from store.runs.report import CampaignReport, PlannerReport
from store.runs.triples import Triple
from store.runs.usage import ClosedTrajectory, StageUse, Usage
from store.texts import sha256

__all__ = [
    "AttemptRecorder",
    "CampaignFunnel",
    "CampaignReport",
    "ClosedTrajectory",
    "ExportGroup",
    "ExportedTrajectory",
    "FaultReason",
    "OwnTests",
    "PlannerFunnel",
    "PlannerReport",
    "RawStore",
    "Reached",
    "StageLatency",
    "StageUse",
    "Trace",
    "Triple",
    "Usage",
    "campaign_key",
    "digest",
    "instance_key",
    "open_raw_store",
    "sha256",
    "trajectory_key",
    "validation_key",
]
