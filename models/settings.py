"""Settings: `cra.toml` in the working directory, overridden by `CRA_*` variables; each field has a description.

Nested fields are reached with two underscores: `CRA_LIMITS__WALL_SECONDS=60`.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from models.campaign_settings import CampaignSettings
from models.curation_settings import CurationSettings
from models.distillation_settings import DistillationSettings
from models.guardrail_settings import GuardrailSettings
from models.intake import IntakeSettings
from models.limits import Limits, LoopLimits
from models.llm_settings import ModelSettings
from models.mining import MiningRules
from models.operation_settings import OperationSettings
from models.serving_settings import ServingSettings
from models.training_settings import TrainingSettings

CONFIG_FILE = "cra.toml"
_NAME, _IPV6 = r"[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?", r"[0-9A-Fa-f.]*(:[0-9A-Fa-f.]*){2,7}"
HostName = Annotated[str, StringConstraints(to_lower=True, pattern=f"^({_NAME}|{_IPV6})$")]
"""A host's name or address, without scheme, port and brackets."""


def _home(variable: str, fallback: str) -> Path:
    return Path(os.environ[variable]) if os.environ.get(variable) else Path.home() / fallback


class Settings(BaseSettings):
    """All settings of Clean Room. `cra config show` prints them with their sources."""

    model_config = SettingsConfigDict(
        env_prefix="CRA_", env_nested_delimiter="__", toml_file=CONFIG_FILE, extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        default_factory=lambda: _home("XDG_DATA_HOME", ".local/share") / "clean-room",
        description="databases, unless their URLs point elsewhere",
    )
    cache_dir: Path = Field(
        default_factory=lambda: _home("XDG_CACHE_HOME", ".cache") / "clean-room",
        description="environments, wheels and unfinished work; may be deleted when nothing runs",
    )
    corpus_dir: Path | None = Field(
        default=None,
        description="repo packages of this machine, which deployments name by their folder; data_dir/corpus when unset",
    )
    relevance_file: Path | None = Field(
        default=None, description="relevance classifier made by `cra relevance fit`; the shipped one when unset"
    )
    raw_database: str | None = Field(
        default=None, description="URL of the raw database; SQLite under data_dir when unset"
    )
    curated_database: str | None = Field(
        default=None, description="URL of the curated database; SQLite under data_dir when unset"
    )
    air_gapped: bool = Field(
        default=False, description="refuse whatever needs another machine: URLs, downloads, models of a provider"
    )
    air_gapped_hosts: tuple[HostName, ...] = Field(
        default=(),
        description="hosts of the isolated network whose model servers, databases and server of flows may be used",
    )
    sandbox: Literal["auto", "bubblewrap", "none"] = Field(
        default="auto", description="isolation of tests; `none` only for code you trust"
    )
    concurrency: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1), ge=1, description="sandboxes at a time"
    )
    environment_budget_gib: float = Field(
        default=20.0, gt=0, description="GiB of built environments; least recently used are deleted first"
    )
    guardrails: GuardrailSettings = Field(default_factory=GuardrailSettings, description="limits of self-improvement")
    limits: Limits = Field(default_factory=Limits, description="what one test run may use")
    campaign: CampaignSettings = Field(
        default_factory=CampaignSettings, description="what a campaign may do without asking"
    )
    curation: CurationSettings = Field(
        default_factory=CurationSettings, description="which answers are trained on, and how datasets are mixed"
    )
    intake: IntakeSettings = Field(
        default_factory=IntakeSettings, description="how large packages that arrive may be, and what checking may cost"
    )
    distillation: DistillationSettings = Field(
        default_factory=DistillationSettings, description="examples that each stage wants before the teacher ends"
    )
    loop: LoopLimits = Field(default_factory=LoopLimits, description="limits of the main loop on one task")
    mining: MiningRules = Field(default_factory=MiningRules, description="which commits are kept")
    operation: OperationSettings = Field(
        default_factory=OperationSettings, description="disk, retention and upkeep of unattended operation"
    )
    serving: ServingSettings = Field(default_factory=ServingSettings, description="the servers that `cra serve` starts")
    training: TrainingSettings = Field(default_factory=TrainingSettings, description="how adapters are trained")
    models: ModelSettings = Field(
        default_factory=ModelSettings, description="endpoints, and which of them answers which stage"
    )

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
    def corpus(self) -> Path:
        """Directory of this machine's repo packages."""
        return self.corpus_dir or self.data_dir / "corpus"

    @property
    def raw_url(self) -> str:
        """URL of the raw database."""
        return self.raw_database or f"sqlite:///{self.data_dir / 'raw.sqlite'}"

    @property
    def curated_url(self) -> str:
        """URL of the curated database: which adapters serve, which repositories are reserved."""
        return self.curated_database or f"sqlite:///{self.data_dir / 'curated.sqlite'}"
