"""Where strangers' code runs: no network, no privileges, a minimal read-only root, hard limits."""

from harness.sandbox.base import Ending, Finished, Mount, Sandbox
from harness.sandbox.opening import Kind, open_sandbox

__all__ = ["Ending", "Finished", "Kind", "Mount", "Sandbox", "open_sandbox"]
