"""Creates the runtime for tests from the settings."""

from host.private import make_directory
from models.errors import UsageError
from models.settings import Settings
from runtime.environments import EnvironmentStore
from runtime.sandbox import open_sandbox
from runtime.trees import Runtime

GIB = 1024**3


def open_runtime(settings: Settings, sandbox: str | None = None) -> Runtime:
    """The runtime of this machine; `sandbox` overrides the setting. Raises SandboxUnavailable with the remedy."""
    kind = sandbox or settings.sandbox
    if kind not in ("auto", "bubblewrap", "none"):
        raise UsageError(f"--sandbox={kind} is unknown; use auto, bubblewrap or none")
    make_directory(settings.cache_dir)  # private, while environments in it stay readable
    return Runtime(
        sandbox=open_sandbox(kind),  # type: ignore[arg-type]
        environments=EnvironmentStore(settings.cache_dir / "environments", int(settings.environment_budget_gib * GIB)),
        limits=settings.limits,
        scratch=settings.cache_dir / "scratch",
    )
