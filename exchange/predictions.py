"""External patches: read, applied to the base of their instance, and judged like a planner's."""

import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from exchange.prediction_rows import read_prediction_file as read_prediction_file
from exchange.prediction_rows import read_predictions as read_predictions
from harness.packages.package import MANIFEST, RepoPackage, read_manifest
from harness.runs.attempt import InstanceContext
from harness.runs.verdicts import stored_judge
from host.process import CommandFailed, run
from models.errors import CleanRoomError, ManifestError, UsageError
from models.files import Overlay
from models.manifest import Instance
from models.outcomes import Validation
from models.predictions import Judged, NotJudged, Prediction, not_printable
from repos.git import SAFE_ENVIRONMENT, Git
from repos.trees import inside
from runtime.trees import Runtime
from store.runs import RawStore

_MOST_BYTES = 64 * 1024 * 1024
"""Limit of a patch, of the declared unpacked size of its binary hunks, and of the resulting files."""
_MOST_FILES = 5000
_APPLY_MEMORY, _APPLY_SECONDS = 1024**3, 120
"""Bytes of address space beyond the clone's packs, and seconds of processor time, that `git apply` may take."""
_LIMITED = 'ulimit -v "$1" 2>/dev/null; ulimit -t "$2" 2>/dev/null; shift 2; exec "$@"'
_DECLARED = re.compile(rb"^(?:literal|delta)\s+[+-]?(\d+)", re.MULTILINE)
_DIGITS = 15  # most digits of a size that is summed
_FILE_MODES = {"100644": False, "100755": True}


class DoesNotApply(CleanRoomError):
    """A patch that `git apply` rejects on its base, or that creates anything but files."""


def apply_patch(git: Git, base: str, patch: str) -> Overlay:
    """The files that result from a patch on a commit. Nothing is written into the clone.

    git applies it to a separate index and object folder, under limits of memory and time.
    Raises DoesNotApply.
    """
    data = _checked(patch)
    with _index(git) as environment:
        argv = ["git", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*", "--git-dir", str(git.directory)]
        run([*argv, "read-tree", base], env=environment)
        memory = _pack_bytes(git) + _APPLY_MEMORY
        limited = ["sh", "-c", _LIMITED, "sh", str(memory // 1024), str(_APPLY_SECONDS)]
        try:
            run([*limited, *argv, "apply", "--cached", "--whitespace=nowarn", "-"], env=environment, stdin=data)
        except CommandFailed as error:
            raise DoesNotApply(_why(error, memory)) from error
        raw = run([*argv, "diff-index", "--cached", "--raw", "-z", "--no-renames", base], env=environment)
        return _overlay(_changes(raw), argv, environment)


def _checked(patch: str) -> bytes:
    """A patch's bytes. Raises DoesNotApply if it is not text or declares too large an unpacked size."""
    try:
        data = patch.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DoesNotApply(f"the patch holds {patch[error.start]!r}, which is no character") from error
    _at_most(len(data), _MOST_BYTES, "bytes of patch")
    declared = [match[1].lstrip(b"0") or b"0" for match in _DECLARED.finditer(data)]
    total = sum(int(each) if len(each) < _DIGITS else 10**_DIGITS for each in declared)
    _at_most(total, _MOST_BYTES, "bytes in its binary hunks")
    return data if data.endswith(b"\n") else data + b"\n"


def _at_most(count: int, most: int, what: str) -> None:
    if count > most:
        raise DoesNotApply(f"the patch has {count} {what}; at most {most} are judged")


def _pack_bytes(git: Git) -> int:
    """Bytes of the clone's packs, which git maps into its memory."""
    return sum(path.stat().st_size for path in (git.directory / "objects" / "pack").glob("*"))


def _why(error: CommandFailed, memory: int) -> str:
    lines = [line for line in error.stderr.splitlines() if line.strip()]
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error:")]
    if said:
        return said[0]
    ended = lines[-1].removeprefix("fatal: ") if lines else f"git apply ended with {error.returncode}"
    return f"{ended}; it may take {memory // 2**20} MiB of memory and {_APPLY_SECONDS} s"


@contextmanager
def _index(git: Git) -> Iterator[dict[str, str]]:
    """The environment for a git with a separate index and folder of new objects."""
    with tempfile.TemporaryDirectory(prefix="cra-apply-") as name:
        objects = Path(name) / "objects"
        objects.mkdir()
        yield {
            **SAFE_ENVIRONMENT,
            "GIT_INDEX_FILE": str(Path(name) / "index"),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((git.directory / "objects").resolve()),
        }


def _changes(raw: bytes) -> dict[str, tuple[str, str] | None]:
    """Mode and blob by path, None for a removed file, from git's listing (`:mode mode blob blob status`, path).

    Raises DoesNotApply for anything but regular files inside the tree, and for too many.
    """
    fields = raw.split(b"\0")
    _at_most(len(fields) // 2, _MOST_FILES, "changed files")
    found: dict[str, tuple[str, str] | None] = {}
    for head, name in zip(fields[:-1:2], fields[1::2], strict=True):
        _, mode, _, blob, status = head.decode().removeprefix(":").split(" ")
        path = os.fsdecode(name)
        if not inside(path) or not_printable(path) is not None:
            raise DoesNotApply(f"{path[:200]!r} leaves the repository or can be no path")
        if status != "D" and mode not in _FILE_MODES:
            raise DoesNotApply(f"{path} would be no regular file (mode {mode}); only files are judged")
        found[path] = None if status == "D" else (mode, blob)
    return found


def _overlay(
    changes: Mapping[str, tuple[str, str] | None], argv: Sequence[str], environment: Mapping[str, str]
) -> dict[str, tuple[bytes, bool] | None]:
    """The contents of changed files, read together after a check of their sizes. Raises DoesNotApply."""
    blobs = [each[1] for each in changes.values() if each]
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    sizes = run([*argv, "cat-file", "--batch-check=%(objectsize)"], env=environment, stdin=asked)
    lengths = [int(size) for size in sizes.split()]
    _at_most(sum(lengths), _MOST_BYTES, "bytes of new content")
    read = run([*argv, "cat-file", "--batch=%(objectname)"], env=environment, stdin=asked)
    contents, position = {}, 0
    for blob, length in zip(blobs, lengths, strict=True):
        begin = position + len(blob) + 1
        contents[blob] = read[begin : begin + length]
        position = begin + length + 1
    return {path: (contents[each[1]], _FILE_MODES[each[0]]) if each else None for path, each in changes.items()}


def find_packages(corpora: Sequence[Path], store: RawStore, wanted: Collection[str]) -> list[Path]:
    """Folders of the packages to use: the named ones, or the known ones with a wanted instance.

    A folder that is not a package is a folder of packages. Raises UsageError if it holds none.
    """
    if corpora:
        return [package for corpus in corpora for package in _packages_in(corpus)]
    known = [*store.known_package_directories(), *sorted(Path("corpus").resolve().glob("*"))]
    there = [path for path in dict.fromkeys(known) if (path / MANIFEST).is_file()]
    return [path for path in there if _holds(path, wanted)]


def _packages_in(corpus: Path) -> list[Path]:
    if (corpus / MANIFEST).is_file():
        return [corpus]
    found = sorted(path.parent for path in corpus.glob(f"*/{MANIFEST}"))
    if not found:
        raise UsageError(f"--corpus {corpus} holds no repo package; make one with `cra prepare`")
    return found


def _holds(package: Path, wanted: Collection[str]) -> bool:
    try:
        return any(instance.instance_id in wanted for instance in read_manifest(package).instances)
    except ManifestError:  # not named by the user; named ones are read strictly
        return False


def judge_prediction(
    store: RawStore, runtime: Runtime, found: tuple[RepoPackage, Instance, str] | None, prediction: Prediction
) -> Judged:
    """The judgement of a prediction; `found` is its instance with its package and key, None if unknown.

    A stored verdict is reused. Raises EnvironmentFault, WheelError and InfrastructureError.
    """

    def without(why: NotJudged, reason: str) -> Judged:
        return Judged(
            instance_id=prediction.instance_id,
            model_name_or_path=prediction.model_name_or_path,
            outcome=why.value,
            reason=reason,
        )

    if found is None:
        return without(NotJudged.UNKNOWN_INSTANCE, "no package that was read holds it; name its package with --corpus")
    package, instance, key = found
    if not instance.valid:
        return without(NotJudged.INVALID_INSTANCE, f"{instance.reason}: {instance.detail}")
    if not (prediction.model_patch or "").strip():
        return without(NotJudged.EMPTY_PATCH, "there is no patch")
    try:
        changes = apply_patch(package.git, instance.base_commit, prediction.model_patch or "")
    except DoesNotApply as error:
        return without(NotJudged.DOES_NOT_APPLY, str(error))
    if not changes:
        return without(NotJudged.EMPTY_PATCH, "the patch changes nothing")
    return _judged(prediction, instance, stored_judge(store, InstanceContext(runtime, package, instance), key)(changes))


def _judged(prediction: Prediction, instance: Instance, verdict: Validation) -> Judged:
    confirmed = verdict.confirmation
    total, not_run = len(instance.pass_to_pass), len(verdict.p2p_not_run)
    ran_all = not verdict.f2p_failed
    return Judged(
        instance_id=prediction.instance_id,
        model_name_or_path=prediction.model_name_or_path,
        outcome=verdict.kind.value,
        reason=verdict.detail,
        f2p_passed=len(verdict.f2p_passed),
        f2p_total=len(instance.fail_to_pass),
        p2p_passed=total - len(verdict.p2p_failed) - not_run if ran_all and verdict.f2p_passed else None,
        p2p_not_run=not_run,
        p2p_total=total,
        sentinels=confirmed.sentinels if confirmed else 0,
        twins=confirmed.twins if confirmed else 0,
        twins_agreed=confirmed.agreed if confirmed else 0,
        seen=confirmed.seen if confirmed else (),
        verdict=verdict.key,
        seconds=round(verdict.seconds, 3),
    )
