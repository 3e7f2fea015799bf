"""What a repo package says about itself, checked value by value before any of it is used."""

from harness.intake.clone import clone_findings, damaged_object
from harness.intake.findings import Finding, shown
from harness.intake.manifest import manifest_findings
from harness.intake.reading import parse_manifest

__all__ = ["Finding", "clone_findings", "damaged_object", "manifest_findings", "parse_manifest", "shown"]
