"""The sandbox of untrusted code: no network, no privileges, a minimal read-only root, hard limits."""

from runtime.sandbox.base import Finished, Mount, ProcessEnd, Sandbox
from runtime.sandbox.opening import SandboxKind, open_sandbox

__all__ = ["Finished", "Mount", "ProcessEnd", "Sandbox", "SandboxKind", "open_sandbox"]
