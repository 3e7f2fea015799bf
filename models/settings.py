"""Settings: `cra.toml` in the working directory, overridden by `CRA_*` variables; every field says what it is for.

Nested fields are reached with two underscores: `CRA_LIMITS__WALL_SECONDS=60`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as SourceError

from models.campaign_settings import CampaignSettings
from models.curation_settings import CurationSettings
from models.errors import SettingsError
from models.guardrail_settings import GuardrailSettings
from models.limits import Limits, LoopLimits
from models.llm_settings import Models
from models.mining import MiningRules
from models.private import tighten
from models.serving_settings import ServingSettings
from models.training_settings import TrainingSettings

CONFIG_FILE = "cra.toml"


def _home(variable: str, fallback: str) -> Path:
    return Path(os.environ[variable]) if os.environ.get(variable) else Path.home() / fallback


class Settings(BaseSettings):
    """All settings of Clean Room. `cra config show` prints them with their sources."""

    model_config = SettingsConfigDict(
        env_prefix="CRA_", env_nested_delimiter="__", toml_file=CONFIG_FILE, extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        default_factory=lambda: _home("XDG_DATA_HOME", ".local/share") / "clean-room",
        description="databases, unless their URLs say otherwise",
    )
    cache_dir: Path = Field(
        default_factory=lambda: _home("XDG_CACHE_HOME", ".cache") / "clean-room",
        description="environments, wheels and unfinished work; may be deleted when nothing runs",
    )
    raw_database: str | None = Field(
        default=None, description="URL of the raw database; SQLite under data_dir when unset"
    )
    curated_database: str | None = Field(
        default=None, description="URL of the curated database; SQLite under data_dir when unset"
    )
    sandbox: Literal["auto", "bubblewrap", "none"] = Field(
        default="auto", description="isolation of tests; `none` only for code you trust"
    )
    concurrency: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1), ge=1, description="sandboxes at a time"
    )
    environment_budget_gib: float = Field(
        default=20.0, gt=0, description="GiB of built environments; least recently used go first"
    )
    guardrails: GuardrailSettings = Field(default_factory=GuardrailSettings, description="limits of self-improvement")
    limits: Limits = Field(default_factory=Limits, description="what one test run may use")
    campaign: CampaignSettings = Field(
        default_factory=CampaignSettings, description="what a campaign may do without asking"
    )
    curation: CurationSettings = Field(
        default_factory=CurationSettings, description="what is worth learning, and how datasets are mixed"
    )
    loop: LoopLimits = Field(default_factory=LoopLimits, description="how far one task may go")
    mining: MiningRules = Field(default_factory=MiningRules, description="which commits are kept")
    serving: ServingSettings = Field(default_factory=ServingSettings, description="the servers that `cra serve` starts")
    training: TrainingSettings = Field(default_factory=TrainingSettings, description="how adapters are trained")
    models: Models = Field(default_factory=Models, description="endpoints, and which of them answers which stage")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment variables, then cra.toml; no .env file and no secrets folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def raw_url(self) -> str:
        """URL of the raw database."""
        return self.raw_database or f"sqlite:///{self.data_dir / 'raw.sqlite'}"

    @property
    def curated_url(self) -> str:
        """URL of the curated database: which adapters serve, which repositories are reserved."""
        return self.curated_database or f"sqlite:///{self.data_dir / 'curated.sqlite'}"


def load_settings() -> Settings:
    """The settings in force here. Raises SettingsError naming the first bad value and where to mend it."""
    for name in sorted(os.environ):
        field = name.removeprefix("CRA_").split("__")[0].lower()
        if name.startswith("CRA_") and field not in Settings.model_fields:
            raise SettingsError(f"unknown setting {name} in the environment; `cra config show` lists all")
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(_first_fault(error)) from None  # the chain would print the value, which may be a key
    except (SourceError, ValueError) as error:  # unparsable TOML is a ValueError
        raise SettingsError(f"settings cannot be read: {error}; mend {CONFIG_FILE} or the CRA_* variables") from error
    _close_to_others(settings)
    return settings


_OURS = {
    "data_dir": (
        "adapters",
        "adapters-gguf",
        "bases",
        "datasets",
        "engine",
        "evaluations",
        "keys",
        "sessions",
        "trainings",
    ),
    "cache_dir": ("clones", "engine", "gguf", "index", "ollama", "serving", "solving"),
}
"""Directories that we make there, but for those that sandboxed code must read."""


def _close_to_others(settings: Settings) -> None:
    """Tighten what an earlier version made readable to others. A directory that the user named may be the user's own,
    so of that only what we make in it."""
    for field, names in _OURS.items():
        root = getattr(settings, field)
        if root == Settings.model_fields[field].get_default(call_default_factory=True):
            tighten(root)
        for name in names:
            tighten(root / name)


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        return f"unknown setting {where} in {CONFIG_FILE}; `cra config show` lists all"
    value = first["input"]
    secret = "key" in where or "@" in str(value)
    shown = "" if secret or isinstance(value, dict | BaseModel) else f" = {value!r}"
    variable = f"CRA_{where.upper().replace('.', '__')}"
    return (
        f"setting {where}{shown}: {first['msg'].removeprefix('Value error, ')}; mend it in {CONFIG_FILE} or {variable}"
    )


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*path, name))
    elif isinstance(value, dict) and value:
        for name in sorted(value):
            yield from _leaves(value[name], (*path, str(name)))
    else:
        yield path, value


def _holds(data: dict[str, Any], path: tuple[str, ...]) -> bool:
    current: Any = data
    for part in path:
        if not isinstance(current, dict) or part not in current:
            return False
        current = current[part]
    return True


def settings_with_sources(settings: Settings) -> list[tuple[str, Any, str]]:
    """Every setting as (dotted name, value, where it comes from: environment variable, cra.toml, default)."""
    environment = EnvSettingsSource(Settings)()
    file = TomlConfigSettingsSource(Settings)()
    rows = []
    for path, value in _leaves(settings):
        if _holds(environment, path):
            source = "CRA_" + "__".join(path).upper()
        elif _holds(file, path):
            source = str(Path(CONFIG_FILE).resolve())
        else:
            source = "default"
        rows.append((".".join(path), value, source))
    return rows
