"""Export of instances as SWE-bench's JSON lines, and import of these and of the forms of other data sets.

The two lists of tests are JSON strings within JSON, as is usual there; on import every spelling of
`exchange.spellings` is read, and an instance without its lists is refused.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
)

from exchange.rows import Row, read_rows, rows_of_lines
from exchange.spellings import LISTS, SPELLINGS, BadField, normalised
from models.errors import UsageError
from models.manifest import Instance, Manifest
from repos.git import Git

_DIFF = (
    "diff", "--full-index", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--unified=3", "--inter-hunk-context=0", "--diff-algorithm=myers", "--src-prefix=a/", "--dst-prefix=b/",
    "--submodule=short", "--ignore-submodules=none", "-O/dev/null",
)  # fmt: skip

_NEEDED = ("repo", "instance_id", "base_commit", "patch", "problem_statement", *LISTS)
_SWE_SMITH = (
    "is absent, and the patch of a SWE-smith row makes the bug; give the commit of its branch in the mirror, and the "
    "reversed patch"
)
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # keeps newer gits from reading attributes from HEAD


def _decoded(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


TestIds = Annotated[
    tuple[str, ...],
    BeforeValidator(_decoded),
    PlainSerializer(lambda ids: json.dumps(list(ids))),
]


class SweInstance(BaseModel):
    """One line.

    Additional fields of a data set are ignored. `created_at` is ISO 8601; patches are `git apply` input.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    repo: str = Field(min_length=1)
    instance_id: str = Field(min_length=1)
    base_commit: str = Field(pattern=r"^[0-9a-f]{7,64}$")
    patch: str = Field(min_length=1)
    test_patch: str = ""
    problem_statement: str
    hints_text: str = ""
    created_at: str = ""
    version: str = ""
    FAIL_TO_PASS: TestIds = ()
    PASS_TO_PASS: TestIds = ()
    environment_setup_commit: str = ""

    @field_validator("patch", "test_patch")
    @classmethod
    def _is_a_diff(cls, value: str) -> str:
        if value.strip() and not any(line.startswith(("diff --git ", "--- ")) for line in value.splitlines()):
            raise ValueError("holds no diff")
        return value

    def to_line(self) -> str:
        """The instance as one line of ASCII JSON, without a line break."""
        return json.dumps(self.model_dump(mode="json"))


def export_instances(manifest: Manifest, git: Git) -> Iterator[str]:
    """A line for each instance of a repo package with valid tests of its own, in the manifest's order.

    `git` holds its commits.

    `patch` is everything the commit changes outside its test files, `test_patch` the rest. The same package
    gives the same lines.
    """
    for instance in manifest.instances:
        if instance.valid and instance.generated is None:  # the format cannot hold tests outside the commit
            yield _exported(manifest, instance, git).to_line()


class Imported(NamedTuple):
    """The instances of a file, and a message for each row that is none."""

    instances: list[SweInstance]
    refused: list[str]


def import_instances(lines: Iterable[str]) -> list[SweInstance]:
    """Instances of JSON lines; blank lines are skipped.

    Raises UsageError, naming line and field, for the first line that is invalid or a duplicate instance.
    """
    imported = _imported(rows_of_lines(lines), most_refused=0)
    if imported.refused:
        raise UsageError(imported.refused[0])
    return imported.instances


def read_instances(path: Path) -> Imported:
    """Instances of a file in any format of `exchange.rows`; rows that are none are refused one by one.

    Raises UsageError for a file that cannot be read or holds no instance at all.
    """
    imported = _imported(read_rows(path))
    if not imported.instances:
        count = len(imported.refused)
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise UsageError(f"{path}: no row is an instance: {imported.refused[0] if count else 'it has none'}{more}")
    return imported


def _imported(rows: Iterable[Row], most_refused: int | None = None) -> Imported:
    seen: dict[str, str] = {}
    imported = Imported([], [])
    for row in rows:
        try:
            instance = instance_of(row)
            if (first := seen.get(instance.instance_id)) is not None:
                raise UsageError(
                    f"{row.place}: field instance_id: {ascii(instance.instance_id[:200])[1:-1]} is on {first} as well"
                )
        except UsageError as error:
            imported.refused.append(str(error))
            if most_refused is not None and len(imported.refused) > most_refused:
                break
        else:
            seen[instance.instance_id] = row.place
            imported.instances.append(instance)
    return imported


def instance_of(row: Row) -> SweInstance:
    """The instance of a row in any spelling. Raises UsageError that names the row's place and the field."""
    if row.value is None:
        raise UsageError(row.fault)
    try:
        fields = normalised(row.value)
        absent = [name for name in _NEEDED if name not in fields]
        if absent == ["base_commit"] and str(fields["repo"]).startswith("swesmith/"):
            raise BadField("base_commit", _SWE_SMITH)
        if absent:
            raise BadField(absent[0], _absent(absent))
        return SweInstance.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{row.place}: field {field}: {first['msg']}") from error
    except BadField as error:
        raise UsageError(f"{row.place}: {error}") from error


def _absent(names: list[str]) -> str:
    others = ", ".join(SPELLINGS[names[0]][1:])
    more = f"; so {'is' if len(names) == 2 else 'are'} {', '.join(names[1:])}" if len(names) > 1 else ""
    return f"is absent or null (it may also be named {others}){more}"


def _exported(manifest: Manifest, instance: Instance, git: Git) -> SweInstance:
    base, commit = instance.base_commit, instance.commit
    tests = [f":(top,literal){path}" for path in instance.test_files]
    others = [":(top)", *(f":(top,exclude,literal){path}" for path in instance.test_files)]
    return SweInstance(
        repo=_repository(manifest),
        instance_id=instance.instance_id,
        base_commit=base,
        patch=diff(git, base, commit, others),
        test_patch=diff(git, base, commit, tests) if tests else "",
        problem_statement=instance.task,
        created_at=_date(git, commit),
        version=instance.version,
        FAIL_TO_PASS=instance.fail_to_pass,
        PASS_TO_PASS=instance.pass_to_pass,
        environment_setup_commit=base,
    )


def diff(git: Git, base: str, commit: str, pathspecs: Iterable[str]) -> str:
    """A diff for `git apply` that turns the base's files into the commit's, byte for byte.

    Files that are not UTF-8 become binary patches, so that the diff is always text.
    """
    with tempfile.TemporaryDirectory(prefix="cra-diff-") as scratch:
        attributes = Path(scratch) / "attributes"
        for rules in ("", "* -diff\n"):
            attributes.write_text(rules)
            settings = (
                "core.quotePath=true",
                f"core.attributesFile={attributes}",
                f"attr.tree={_EMPTY_TREE}",
            )
            options = [word for setting in settings for word in ("-c", setting)]
            raw = git.output(*options, *_DIFF, base, commit, "--", *pathspecs)
            try:
                return raw.decode()
            except UnicodeDecodeError:
                continue
    raise UsageError(f"{git.directory}: the diff of {commit[:12]} is not text; leave that commit out")


def _repository(manifest: Manifest) -> str:
    """`owner/name` if the source is such a URL, else the package's name."""
    source = manifest.source.rstrip("/").removesuffix(".git")
    if "://" not in source or source.startswith("file:"):
        return manifest.name
    parts = source.split("://", 1)[1].split("/")
    return "/".join(parts[-2:]) if len(parts) >= 3 else manifest.name


def _date(git: Git, commit: str) -> str:
    """A commit's date; the nearest one that a calendar has, if its own is none."""
    told = git.text("show", "--no-patch", "--format=%ct", commit)
    seconds = min(int(told[:20]), 253_402_300_799) if told.isdigit() else 0  # the end of the year 9999
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
