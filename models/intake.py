"""What became of repo packages that arrived on a medium: verdicts, reasons, and the events of the ledger."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.plans import Frozen
from models.refusals import RefusalReason as RefusalReason

GIB = 1 << 30


class IntakeVerdict(StrEnum):
    """Outcome of one package's arrival."""

    ACCEPTED = "accepted"  # new in the corpus
    UPDATED = "updated"  # replaced an earlier state of the same repository
    ALREADY_HERE = "already-here"
    REFUSED = "refused"
    CHECKED = "checked"  # would be accepted; nothing was integrated (--dry-run)


class IntakeSettings(Frozen):
    """Limits of what may arrive, and of what checking one package may cost."""

    max_bytes: int = Field(64 * GIB, gt=0, description="bytes of a package, all files together")
    max_file_bytes: int = Field(4 * GIB, gt=0, description="bytes of any one file of a package")
    max_files: int = Field(50_000, gt=0, description="files and folders of a package")
    max_depth: int = Field(12, gt=0, description="folders inside each other")
    max_path: int = Field(400, gt=0, description="bytes of a path inside a package")
    max_object_bytes: int = Field(GIB // 4, gt=0, description="bytes of any one git object, unpacked")
    max_objects: int = Field(20_000_000, gt=0, description="git objects of a package")
    max_unpacked: int = Field(64 * GIB, gt=0, description="bytes of all git objects, and of all wheels, unpacked")
    max_tree_files: int = Field(500_000, gt=0, description="files of any one commit")
    max_tree_bytes: int = Field(16 * GIB, gt=0, description="bytes of all files of any one commit")
    read_seconds: float = Field(120.0, gt=0, description="seconds without an answer after which a medium is given up")
    read_hours: float = Field(12.0, gt=0, description="hours that reading one package from a medium may take")
    package_hours: float = Field(24.0, gt=0, description="hours of test runs for a package; later commits wait")


class CheckOutcome(Frozen):
    """One check of a package, in the order in which they were made."""

    check: str
    passed: bool
    seconds: float = 0.0


class ArrivedPackage(Frozen):
    """A package as it came: its claims.

    `listing` is the hash of the names, sizes and times of its files, `content` that of what is in them; `known_wheels`
    of its wheels are known here by name and hash, and `plugins` are those that are not and register plugins of pytest.
    Fields are empty where nothing was read.
    """

    source: str
    listing: str = ""
    name: str = ""
    identity: str = ""
    content: str = ""
    head: str = ""
    files: int = 0
    bytes: int = 0
    wheels: int = 0
    known_wheels: int = 0
    plugins: tuple[str, ...] = ()
    valid: int = 0


class IntakeEvent(Frozen):
    """A line of the ledger.

    `identity` is that of the package in the corpus, which differs from the arrived one where validation here came to
    other results or an earlier package was extended. `lost` are instances that were valid elsewhere and are not here,
    each with the reason.
    """

    id: str
    at: str
    verdict: IntakeVerdict
    package: ArrivedPackage
    reason: RefusalReason | None = None
    detail: str = ""
    identity: str = ""
    use: Literal["training", "evaluation", ""] = ""
    valid: int = 0
    lost: dict[str, str] = Field(default_factory=dict)
    checks: tuple[CheckOutcome, ...] = ()
    seconds: float = 0.0
