"""Descriptions of changes for commits whose messages are no tasks, written and judged by models.

the change and its place in the repository -> a model looks at symbols, at most twice, and writes
-> checks without a model -> a judge that does not know whose text it is -> a line in the repository's file
"""

from harness.supplement.messages.regeneration import REVISION, THRESHOLD
from harness.supplement.messages.run import Regenerated, RegenerationReport, regenerate

__all__ = ["REVISION", "THRESHOLD", "Regenerated", "RegenerationReport", "regenerate"]
