"""The public datasets that are known: where they are published, their licences and terms, their schemas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.edits import EditFormat
from models.errors import UsageError
from models.training import Pair, PairSource
from training.data.sources.collections import Dropped
from training.data.sources.open_datasets.commits import COMMIT_PACK_FT
from training.data.sources.open_datasets.conversion import Conversion, NotKept
from training.data.sources.open_datasets.diff_sequences import D3
from training.data.sources.open_datasets.instructions import OPEN_CODE_INSTRUCT, OPEN_CODER, plain
from training.data.sources.open_datasets.licences import restricts
from training.data.sources.open_datasets.schema import Column, Kind, Schema, texts

EVALUATION = "instances are for evaluation"
PROGRAMS, CHANGES = "new programs (code stage)", "edits of a file (code stage)"
_OPENAI = "answers written by a model of OpenAI, whose terms restrict training models that compete with it"
_MODEL = "answers written by a language model, whose terms apply beside the licence"


@dataclass(frozen=True)
class OpenDataset:
    """A public dataset. `publisher` is `owner/name`, `rows` the published number; `license` is an SPDX identifier, or
    None where none is named; `terms` go to the card of what is made from it."""

    source: PairSource
    publisher: str
    rows: int
    license: str | None
    becomes: str
    schemas: tuple[Schema, ...]
    terms: tuple[str, ...] = ()

    @property
    def needs_acceptance(self) -> str | None:
        """Why a person must accept its licence first, or None."""
        if self.license is None:
            return "names no licence"
        return f"has the licence {self.license}, not for commercial use" if restricts(self.license) else None

    def conversion(self, edit_format: EditFormat) -> Conversion:
        """What its rows need to become examples."""
        return Conversion(self.source, self.publisher, self.license or "none named", edit_format)

    def schema_of(self, row: Mapping[str, Any]) -> Schema:
        """The schema of its schemas that a row fits best."""
        return min(self.schemas, key=lambda schema: len(schema.faults(row)))


def _for_evaluation(values: Mapping[str, Any], conversion: Conversion) -> Pair | Dropped:
    raise NotKept(EVALUATION)


_SWE_BENCH = Schema(
    (
        *texts("repo", "instance_id", "base_commit", "patch", "problem_statement"),
        *texts("test_patch", "hints_text", "version", "environment_setup_commit", required=False),
    ),
    prose="problem_statement", code="patch", convert=_for_evaluation,
)  # fmt: skip
_OSS_ALSO = (Column("raw_index", Kind.INTEGER, required=False), *texts("seed", "openai_fingerprint", required=False))

_KNOWN = (
    OpenDataset(
        PairSource.OPEN_CODE_INSTRUCT, "nvidia/OpenCodeInstruct", 5_000_000, "CC-BY-4.0", PROGRAMS,
        (OPEN_CODE_INSTRUCT,), (_MODEL, "CC-BY-4.0: name its authors"),
    ),
    OpenDataset(
        PairSource.COMMIT_PACK_FT, "bigcode/commitpackft", 702_062, "MIT", CHANGES, (COMMIT_PACK_FT,),
        ("each row has the licence of its repository",),
    ),
    OpenDataset(
        PairSource.CODE_FEEDBACK, "m-a-p/CodeFeedback-Filtered-Instruction", 156_526, "Apache-2.0", PROGRAMS,
        (plain("query", "answer", language="lang", also=texts("resource", required=False)),),
        ("collected from other sets, with answers of several models, among them OpenAI's",),
    ),
    OpenDataset(
        PairSource.OSS_INSTRUCT, "ise-uiuc/Magicoder-OSS-Instruct-75K", 75_197, "MIT", PROGRAMS,
        (
            plain("problem", "solution", language="lang", row="index", model="gpt-3.5-turbo", also=_OSS_ALSO),
            plain("instruction", "response", language="lang", row="index", model="gpt-3.5-turbo", also=_OSS_ALSO),
        ),
        (_OPENAI,),
    ),
    OpenDataset(
        PairSource.EVOL_INSTRUCT, "ise-uiuc/Magicoder-Evol-Instruct-110K", 111_183, "Apache-2.0", PROGRAMS,
        (plain("instruction", "response", model="gpt-4"),), (_OPENAI,),
    ),
    OpenDataset(
        PairSource.EVOL_INSTRUCT_80K, "nickrosh/Evol-Instruct-Code-80k-v1", 78_264, "CC-BY-NC-SA-4.0", PROGRAMS,
        (plain("instruction", "output"),), (_OPENAI, "CC-BY-NC-SA-4.0: no commercial use, the same licence passed on"),
    ),
    OpenDataset(
        PairSource.OPEN_CODER, "OpenCoder-LLM/opc-sft-stage2", 436_347, "MIT", PROGRAMS, (OPEN_CODER,), (_MODEL,),
    ),
    OpenDataset(
        PairSource.D3, "upiter/d3", 3_673_873, None, CHANGES, (D3,),
        (
            "instructions written by a language model, whose terms apply beside the licence",
            "no licence of the whole is named; each row has those of its repository",
        ),
    ),
    OpenDataset(
        PairSource.SWE_BENCH, "princeton-nlp/SWE-bench", 21_527, "MIT", "instances, by `cra import`", (_SWE_BENCH,),
    ),
)  # fmt: skip
DATASETS: Mapping[str, OpenDataset] = {dataset.source.value: dataset for dataset in _KNOWN}


def find_dataset(name: str) -> OpenDataset:
    """A dataset by its name. Raises UsageError."""
    if name not in DATASETS:
        raise UsageError(f"dataset {name} is unknown; there are: {', '.join(DATASETS)}")
    return DATASETS[name]
