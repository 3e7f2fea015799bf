"""Export and import of instances as SWE-bench's JSON lines.

The two lists of tests are JSON strings within JSON, as is usual there; on import plain lists are accepted as well.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
)

from models.errors import UsageError
from models.manifest import Instance, Manifest
from repos.git import Git

_DIFF = (
    "diff", "--full-index", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--unified=3", "--inter-hunk-context=0", "--diff-algorithm=myers", "--src-prefix=a/", "--dst-prefix=b/",
    "--submodule=short", "--ignore-submodules=none", "-O/dev/null",
)  # fmt: skip

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


def import_instances(lines: Iterable[str]) -> list[SweInstance]:
    """Instances of a file's lines; blank lines are skipped.

    Raises UsageError, naming line and field, for an invalid line or a duplicate instance.

    """
    seen: dict[str, int] = {}
    instances = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        instance = _imported(number, line)
        if first := seen.get(instance.instance_id):
            raise UsageError(f"line {number}: field instance_id: {instance.instance_id} is on line {first} as well")
        seen[instance.instance_id] = number
        instances.append(instance)
    return instances


def _imported(number: int, line: str) -> SweInstance:
    try:
        return SweInstance.model_validate(json.loads(line))
    except RecursionError as error:
        raise UsageError(f"line {number} is nested too deeply to be an instance") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"line {number} is not JSON: {error.msg} at column {error.colno}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(the whole line)"
        raise UsageError(f"line {number}: field {field}: {first['msg']}") from error


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
