"""A place of their own for what flows write."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def configured(
    prefect_engine: None, runtime: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Write cra.toml for endpoints at a URL; databases and caches are this test's own, environments the run's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "environments").symlink_to(runtime.environments.root)  # type: ignore[attr-defined]

    def write(url: str, **endpoint: object) -> None:
        values = {"url": f'"{url}"', "model": '"scripted"', "attempts": 1, "max_wait": 0.1, **endpoint}
        lines = ["[models.endpoints.here]", *(f"{name} = {value}" for name, value in values.items())]
        lines += ["[models.roles]", 'reasoning = "here"', 'coding = "here"']
        lines += ["[models.teachers]", 'reasoning = "here"', "[campaign]", "provider_failures = 2"]
        Path("cra.toml").write_text("\n".join(lines) + "\n")

    return write
