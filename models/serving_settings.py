"""Settings of the servers that `cra serve` starts."""

from typing import Annotated

from pydantic import Field

from models.plans import Frozen


class ServingSettings(Frozen):
    """How a base and its adapters are served."""

    python: str = Field("", description="python of an environment with vLLM; empty: that of environments/vllm if made")
    package: str = Field("vllm>=0.30", description="what `uv tool run` gets where there is no environment with vLLM")
    max_loras: int = Field(8, ge=1, description="adapters in one batch at most; each takes memory of the accelerator")
    max_cpu_loras: int = Field(16, ge=1, description="adapters kept in main memory; others are reloaded on request")
    window: int | None = Field(None, ge=256, description="context window in tokens; unset: the base's own")
    dtype: str = Field("auto", description="of the weights: auto, bfloat16, float16, float32")
    arguments: tuple[str, ...] = Field((), description="further arguments of vLLM, as they are")
    environment: dict[str, str] = Field(default_factory=dict, description="further variables for vLLM; no keys")
    startup: Annotated[float, Field(gt=0)] = Field(900.0, description="seconds within which it must answer")
    restarts: int = Field(5, ge=0, description="times a server that exits by itself is restarted")
