"""Validation of a repo package: every value of it is checked before it is used."""

from harness.packages.checks.clone import clone_findings, damaged_object
from harness.packages.checks.findings import ManifestFinding, shown
from harness.packages.checks.manifest import manifest_findings
from harness.packages.checks.reading import parse_manifest

__all__ = ["ManifestFinding", "clone_findings", "damaged_object", "manifest_findings", "parse_manifest", "shown"]
