"""The raw store: what the harness writes to the raw database and asks of it."""

from harness.store.keys import campaign_key, digest, instance_key, trajectory_key, validation_key
from harness.store.measurements import OwnTests
from harness.store.raw import RawStore, open_raw_store
from harness.store.recorder import AttemptRecorder
from harness.store.report import PlannerReport, Report
from harness.store.rows import sha256
from harness.store.trace import Trace
from harness.store.triples import Triple
from harness.store.usage import Result, StageUse, Usage

__all__ = [
    "AttemptRecorder",
    "OwnTests",
    "PlannerReport",
    "RawStore",
    "Report",
    "Result",
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
