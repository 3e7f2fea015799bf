"""Attribution of a failed attempt to retrieval, plan or code, by experiment."""

from harness.attribution.decide import VERSION, attribute
from harness.attribution.experiments import AttributionExperiments, Judge, stored_judge
from harness.attribution.stored import attribute_attempt

__all__ = ["VERSION", "AttributionExperiments", "Judge", "attribute", "attribute_attempt", "stored_judge"]
