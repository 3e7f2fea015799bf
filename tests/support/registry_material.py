"""A base of two small matrices and adapters for it, as files; no training stack is needed."""

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.evaluation import GateReport, GateVerdict, MetricTest, Subject
from models.training import TrainingTarget
from store.tables import BaseModel
from training.adapters.registry import AdapterVersion, Registry
from training.bases.bases import MANIFEST
from training.bases.files import hash_file, hash_files

if TYPE_CHECKING:
    from sqlalchemy import Engine

RANK, WIDTH = 4, 16
MODULE = "model.layers.0.self_attn.{}_proj"
Tensors = dict[str, tuple[tuple[int, ...], list[float]]]


def write_safetensors(path: Path, tensors: Tensors) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (shape, values) in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def make_base(
    curated: "Engine", data_dir: Path, name: str = "tiny", *, role: str | None = None, version: int | None = None
) -> str:
    """Record a base; returns its id."""
    from sqlmodel import Session

    folder = data_dir / f"base-{name}"
    folder.mkdir(parents=True)
    values = [float(len(name))] * (WIDTH * WIDTH)
    matrices = {f"{MODULE.format(part)}.weight": ((WIDTH, WIDTH), values) for part in "qv"}
    write_safetensors(folder / "model.safetensors", matrices)
    (folder / "config.json").write_text("{}")
    files = sorted(folder.iterdir())
    manifest = {file.name: {"bytes": file.stat().st_size, "sha256": hash_file(file)} for file in files}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    base = hash_files({path: str(entry["sha256"]) for path, entry in manifest.items()})
    row = BaseModel(
        id=base, name=name, role=role, version=version, tuned=version is not None, path=str(folder), facts={}
    )
    with Session(curated) as session:
        session.add(row)
        session.commit()
    return base


def lora(mark: float = 1.0, rank: int = RANK, width: int = WIDTH) -> Tensors:
    return {
        f"base_model.model.{MODULE.format(part)}.lora_{side}.weight": (shape, [mark] * (rank * width))
        for part in "qv"
        for side, shape in (("A", (rank, width)), ("B", (width, rank)))
    }


def make_adapter(folder: Path, mark: float = 1.0, tensors: Tensors | None = None, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        "peft_type": "LORA",
        "base_model_name_or_path": "tiny",
        "r": RANK,
        "lora_alpha": 8,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(plain | config, sort_keys=True))
    write_safetensors(folder / "adapter_model.safetensors", lora(mark) if tensors is None else tensors)
    return folder


def register(
    registry: Registry, folder: Path, target: TrainingTarget = TrainingTarget.SCOPE, base: str = "tiny"
) -> AdapterVersion:
    return registry.register(folder, target, base, "d" * 64, "p" * 64, {"accuracy": 0.8}, {"r": RANK}, "abc123")


def fresh(
    registry: Registry, folder: Path, mark: float, target: TrainingTarget = TrainingTarget.SCOPE
) -> AdapterVersion:
    """A new version whose weights are all `mark`."""
    return register(registry, make_adapter(folder / f"trained-{mark}", mark), target)


def report(
    challenger: AdapterVersion, champion: AdapterVersion | None, verdict: GateVerdict = GateVerdict.PROMOTE
) -> GateReport:
    before = Subject(
        name=champion.name if champion else "tiny", base=challenger.base, adapter=champion.id if champion else None
    )
    test = MetricTest(
        metric="accuracy", primary=True, champion=0.5, challenger=0.7, difference=0.2, low=0.1, high=0.3,
        p_repository=0.01, p_item=0.001, p_adjusted=0.01, detectable=0.05, threshold=0.75, items=200, repositories=8,
    )  # fmt: skip
    return GateReport(
        target=challenger.target,
        champion=before,
        challenger=Subject(name=challenger.name, base=challenger.base, adapter=challenger.id),
        set_id="s" * 64,
        verdict=verdict,
        reason="accuracy 0.500 to 0.700 (p = 0.0100)",
        tests=(test,),
    )


def serving(registry: Registry, target: TrainingTarget = TrainingTarget.SCOPE) -> str | None:
    active = registry.active(target)
    return active.name if active else None


def flip(file: Path, text: tuple[bytes, bytes] | None = None) -> None:
    """Change the last byte of a file, or one text for another."""
    file.chmod(0o644)
    content = file.read_bytes()
    changed = content[:-1] + bytes([content[-1] ^ 1]) if text is None else content.replace(*text)
    assert changed != content
    file.write_bytes(changed)
