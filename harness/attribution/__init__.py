"""Attribution of a failed attempt to retrieval, plan or code, by experiment."""

from harness.attribution.decide import VERSION, attribute
from harness.attribution.experiments import AttributionExperiments
from harness.attribution.stored import attribute_attempt

__all__ = ["VERSION", "AttributionExperiments", "attribute", "attribute_attempt"]
