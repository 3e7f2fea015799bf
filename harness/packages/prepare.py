"""Preparation of a repo package: clone, mine, lock environments, validate gold, write the manifest.

Each step is a plain function; the flow calls them in this order. Expensive results (locks, gold verdicts) are cached
under the hash of their inputs, so that an interrupted preparation resumes where it stopped.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from harness.mining import Mined
from harness.mining.indistinct import select as select
from harness.mining.repository import describe
from harness.packages.causes import cause_of
from harness.packages.checks import values
from harness.packages.gold_decision import GoldVerdict
from harness.packages.gold_patch import UnsupportedChange, read_gold_patch
from harness.packages.gold_validation import GoldEffort, validate_gold
from harness.packages.left_out import naming_left_out
from harness.packages.locking import CommitCandidate
from harness.packages.locking import find_environment as find_environment
from harness.packages.locking import with_dropped as with_dropped
from harness.packages.package import MANIFEST, TIMINGS, read_package, with_supplements, write_atomically
from host.process import CommandFailed, run
from models.causes import Cause, Layer
from models.errors import EnvironmentFault, ManifestError, RepositoryError, WheelError
from models.manifest import NODE, Environment, Instance, InvalidReason, Manifest, SampledSuite
from repos.git import Git, clone
from runtime.environments import discover_commit, environment_identity, known_sha256
from runtime.environments.node import archives_of, project_at, script_of
from runtime.trees import Runtime, provisioned

_EFFORT = GoldEffort()
_PERHAPS_THE_MACHINES = (InvalidReason.TIMEOUT, InvalidReason.CRASHED, InvalidReason.UNRESOLVABLE)
"""Reasons that load or a lack of memory can cause; verdicts with one of them are not cached."""

GOLD_VERSION = 7
"""Raised whenever gold validation would decide differently; cached verdicts of older versions are not used."""


@dataclass(frozen=True)
class ClonedSource:
    """A cloned source: its origin (no credentials, no path of this machine), and its name."""

    name: str
    origin: str
    directory: Path

    @property
    def git(self) -> Git:
        """The clone inside the package directory."""
        return Git(self.directory / "repo")


def acquire(source: str, corpus: Path) -> ClonedSource:
    """Clone a path or URL into `corpus/NAME/repo`, replacing an earlier clone. NAME is the distribution's, else the
    source's last component. Raises RepositoryError."""
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".clone-", dir=corpus) as temporary:
        fresh = Path(temporary) / "repo"
        git = clone(source, fresh)
        head = git.resolve("HEAD")
        name = name_of(git, head, source)
        target = corpus / name / "repo"
        assert target.parent.parent == corpus, "a name is a single path component"
        for link in (target.parent, target, target.parent / "packages"):
            if link.is_symlink():
                raise RepositoryError(f"{link} is a link; remove it, so that nothing is written where it leads")
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    return ClonedSource(name, origin_of(source), corpus / name)


def origin_of(source: str) -> str:
    """The origin of a repository, without credentials: its URL, or for a local clone that of its `origin`."""
    local = Path(source)
    if not local.exists():
        return _without_credentials(source)
    for config in (local / ".git" / "config", local / "config"):
        if config.is_file():
            try:
                url = run(["git", "config", "--no-includes", "--file", str(config), "--get", "remote.origin.url"])
            except CommandFailed:
                continue
            found = url.decode(errors="replace").strip()
            cleaned = _without_credentials(found)
            if ("://" in found or re.match(r"[\w.-]+@[\w.-]+:", found)) and values.origin(cleaned) is None:
                return cleaned
    return f"local:{_basename(source)}"


def _without_credentials(url: str) -> str:
    if "://" not in url:
        return re.sub(r"^([^/@:]+):[^/@]*@", r"\1@", url)
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def name_of(git: Git, head: str, source: str) -> str:
    """A repository's name: its distribution's, or the last component of its origin."""
    project = discover_commit(git, head)
    named = project.name != "project" and (project.import_names or project.headers)
    return project.name if named else _basename(source)


def _basename(source: str) -> str:
    parts = [part for part in Path(source.rstrip("/")).resolve().parts if part not in ("repo", ".git", "/")]
    name = re.sub(r"\.git$", "", parts[-1] if parts else "repository")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lower()[:100].lstrip("-")
    return plain if values.component(plain) is None else "repository"


def validate_candidate(
    runtime: Runtime,
    git: Git,
    candidate: CommitCandidate,
    packages: Path,
    cache: Path,
    effort: GoldEffort = _EFFORT,
) -> tuple[Instance, dict[str, float]]:
    """The instance of a candidate and the seconds its runs took; from the cache if decided before.

    Runs that finished before an interruption are not repeated.
    """
    if candidate.environment is None:
        return _instance("", git, candidate, _without_environment(candidate)), {}
    key = _verdict_key(runtime, candidate, candidate.environment, packages, effort.sampled)
    places = [cache / "gold" / f"{key}.json"]
    if effort.seconds:  # what was decided without a budget holds with one, and not the other way round
        places.append(cache / "gold" / f"{key}-{effort.seconds:.0f}.json")
    known = next((path for path in places if path.is_file()), None)
    if known is not None:
        verdict = GoldVerdict.from_json(known.read_text())
    else:
        effort = replace(effort, kept=cache / "gold-runs", key=key, index_cache=cache / "index")
        verdict = _validated(runtime, git, candidate, candidate.environment, packages, effort)
        if verdict.reason not in _PERHAPS_THE_MACHINES:
            write_atomically(places[-1] if verdict.sampled else places[0], verdict.to_json())
            for runs in (key, f"{key}-sources"):
                shutil.rmtree(cache / "gold-runs" / runs, ignore_errors=True)
    return _instance(candidate.environment.key, git, candidate, verdict), verdict.seconds


def _without_environment(candidate: CommitCandidate) -> GoldVerdict:
    assert candidate.reason is not None, "a candidate without an environment has a reason"
    cause = cause_of(candidate.reason, candidate.detail)
    return GoldVerdict(reason=candidate.reason, detail=candidate.detail, cause=cause)


def _validated(
    runtime: Runtime, git: Git, candidate: CommitCandidate, environment: Environment, packages: Path, effort: GoldEffort
) -> GoldVerdict:
    """The verdict on a candidate, which is used from its sources where its build fails and is not needed."""
    layer = None
    try:
        read_gold_patch(git, candidate.commit.sha, candidate.commit.parent)  # only what edits can express
        with provisioned(runtime, environment, packages, candidate.version, candidate.builder) as provided:
            verdict = validate_gold(runtime, git, candidate.commit, provided, effort)
            if verdict.reason is not InvalidReason.BUILD_FAILED or candidate.builder is None:
                return naming_left_out(verdict, git, candidate.commit, environment)
            if discover_commit(git, candidate.commit.sha).needs_build:
                return verdict
            effort = replace(effort, key=f"{effort.key}-sources")
            again = validate_gold(runtime, git, candidate.commit, replace(provided, builder=None), effort)
            return replace(again, unbuilt=verdict.detail)
    except (UnsupportedChange, RepositoryError) as error:  # the latter for a tree that cannot be written out
        detail = str(error).removeprefix(f"{git.directory}: ")  # a package names no path of the machine
        reason = InvalidReason.UNSUPPORTED_CHANGE
    except EnvironmentFault as error:
        reason, detail, layer = InvalidReason.UNRESOLVABLE, str(error), Layer.BUILD
    except WheelError as error:
        reason, detail = InvalidReason.NO_WHEEL, str(error)
    return GoldVerdict(reason=reason, detail=detail, cause=cause_of(reason, detail, layer=layer))


def not_tried(git: Git, candidate: CommitCandidate, minutes: float) -> Instance:
    """The instance of a candidate whose turn did not come within the repository's time."""
    detail = f"the repository's {minutes:g} minutes were used up before its turn"
    cause = Cause(layer=Layer.BUDGET, text=detail, remedy="run the same command again, or raise --repository-minutes")
    verdict = GoldVerdict(reason=InvalidReason.NOT_TRIED, detail=detail, cause=cause)
    return _instance(candidate.environment.key if candidate.environment else "", git, candidate, verdict)


def _verdict_key(
    runtime: Runtime,
    candidate: CommitCandidate,
    environment: Environment,
    packages: Path,
    sampled: SampledSuite | None = None,
) -> str:
    parts = [
        str(GOLD_VERSION),
        candidate.commit.model_dump_json(),
        *(
            environment_identity(each, {name: known_sha256(packages / name) for name in each.wheels})
            for each in (environment, candidate.builder)
            if each is not None
        ),
        candidate.version,
        runtime.limits.model_dump_json(),
        runtime.sandbox.kind,
        *([sampled.model_dump_json()] if sampled else []),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _instance(environment: str, git: Git, candidate: CommitCandidate, verdict: GoldVerdict) -> Instance:
    commit, unbuilt = candidate.commit, verdict.unbuilt or candidate.unbuilt
    name = git.directory.parent.name
    return Instance(
        instance_id=f"{name}__{commit.sha[:12]}",
        commit=commit.sha,
        base_commit=commit.parent,
        task=commit.message,
        planning_types=commit.planning_types,
        production_files=tuple(sorted(c.path for c in commit.changes if c.kind == "production")),
        test_files=tuple(sorted(c.path for c in commit.changes if c.kind == "test")),
        symbols=commit.symbols,
        version=candidate.version,
        environment=environment or None,
        build=candidate.builder.key if candidate.builder and not unbuilt else None,
        fail_to_pass=verdict.fail_to_pass,
        pass_to_pass=verdict.pass_to_pass,
        excluded=verdict.excluded,
        reason=verdict.reason,
        detail=verdict.detail or (f"used from its sources: {unbuilt}" if unbuilt else ""),
        cause=verdict.cause,
        sampled=verdict.sampled,
    )


def write_package(
    source: ClonedSource,
    mined: Mined,
    candidates: Sequence[CommitCandidate],
    instances: Sequence[Instance],
    timings: dict[str, dict[str, float]],
) -> Manifest:
    """Write `manifest.json` and `timings.json`; wheels that no environment needs any more are removed.

    Tests that a teacher wrote for the previous package are kept where they still fit.
    """
    built = {instance.build for instance in instances}
    locked = [each for c in candidates for each in (c.environment, c.builder) if each]
    locked = [each for each in locked if each.key in built or each.key in {i.environment for i in instances}]
    # Equal environments of two eras count for the earlier one.
    environments = {e.key: e for e in sorted(locked, key=lambda e: e.cutoff, reverse=True)}
    head = source.git.resolve("HEAD")
    packages = source.directory / "packages"
    packages.mkdir(exist_ok=True)
    used = {wheel for environment in environments.values() for wheel in environment.wheels}
    archives = {name for environment in environments.values() for name in archives_of(environment)}
    for stray in packages.iterdir():
        if stray.name not in used | archives:  # an interrupted download may leave a folder
            shutil.rmtree(stray) if stray.is_dir() and not stray.is_symlink() else stray.unlink()
    wheels = {name: hashlib.sha256((packages / name).read_bytes()).hexdigest() for name in sorted(used)}
    newest = next((c.environment.python for c in candidates if c.environment), "")
    facts = describe(source.git, source.name, source.origin, head)
    manifest = Manifest(
        name=source.name,
        source=source.origin,
        license=facts.license,
        organisation=facts.organisation,
        domain=facts.domain,
        head=head,
        python=newest,
        test_command=_test_command(source.git, head, list(environments.values())),
        lines_of_code=facts.lines_of_code,
        flags=facts.flags,
        funnel=mined.funnel,
        environments=tuple(environments[key] for key in sorted(environments)),
        wheels=wheels,
        instances=_with_supplements(instances, source.directory),
    )
    write_atomically(source.directory / MANIFEST, manifest.to_json())
    write_atomically(source.directory / TIMINGS, json.dumps(timings, indent=2, sort_keys=True) + "\n")
    return manifest


def _test_command(git: Git, head: str, environments: Sequence[Environment]) -> tuple[str, ...]:
    """The runner at the newest commit: of JavaScript where all environments are of Node.js."""
    if environments and all(environment.language == NODE for environment in environments):
        return (script_of(project_at(git, head))[0].framework,)
    return discover_commit(git, head).test_command


def _with_supplements(instances: Sequence[Instance], directory: Path) -> tuple[Instance, ...]:
    try:
        return with_supplements(instances, read_package(directory).manifest)
    except ManifestError:  # there is no previous package, or it is invalid
        return tuple(instances)
