"""Where strangers' code runs: no network, no privileges, a minimal read-only root, hard limits."""

from runtime.sandbox.base import Ending, Finished, Mount, Sandbox
from runtime.sandbox.opening import Kind, open_sandbox

__all__ = ["Ending", "Finished", "Kind", "Mount", "Sandbox", "open_sandbox"]
