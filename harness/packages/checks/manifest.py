"""Checks of a manifest's values, each by itself and against each other. Nothing is run or looked up."""

from collections import Counter
from collections.abc import Iterable, Iterator

from packaging.utils import canonicalize_name, parse_wheel_filename

from harness.packages.checks import values
from harness.packages.checks.findings import ManifestFinding, shown
from harness.packages.checks.node import node_environment
from models.generated import GeneratedTests
from models.manifest import NODE, DropReason, Environment, Instance, InvalidReason, Manifest
from repos.index.paths import is_test_path
from runtime.environments.resolve import environment_key
from runtime.environments.wheels import locked
from runtime.testing import PYTEST, file_of
from runtime.testing.node_runner import FRAMEWORKS

_COUNT = 10**9
_DAYS = 10**5
_COMMANDS = (PYTEST.command, *((name,) for name in FRAMEWORKS))


def manifest_findings(manifest: Manifest) -> Iterator[ManifestFinding]:
    """All faults of a manifest, in the order of its fields."""
    yield from _repository(manifest)
    for index, environment in enumerate(manifest.environments):
        yield from _environment(f"environments.{index}", environment, manifest.wheels)
    yield from _wheels(manifest)
    for index, instance in enumerate(manifest.instances):
        yield from _instance(f"instances.{index}", instance, {e.key for e in manifest.environments})
    yield from _repeated("environments", (e.key for e in manifest.environments))
    yield from _repeated("instances", (i.instance_id for i in manifest.instances))
    yield from _repeated("instances", (i.commit for i in manifest.instances))


def _check(field: str, check: values.Check, *given: str | None) -> Iterator[ManifestFinding]:
    for value in given:
        if value is not None and (why := check(value)):
            yield ManifestFinding(field, shown(value), why)


def _repeated(field: str, given: Iterable[str]) -> Iterator[ManifestFinding]:
    for value, count in Counter(given).items():
        if count > 1:
            yield ManifestFinding(field, shown(value), f"occurs {count} times")


def _count(field: str, value: int) -> Iterator[ManifestFinding]:
    if not 0 <= value <= _COUNT:
        yield ManifestFinding(field, shown(value), "is no count")


def _repository(manifest: Manifest) -> Iterator[ManifestFinding]:
    yield from _check("name", values.component, manifest.name)
    yield from _check("source", values.origin, manifest.source)
    for field in ("license", "organisation", "domain"):
        yield from _check(field, values.line, getattr(manifest, field))
    yield from _check("head", values.commit_id, manifest.head)
    yield from _check("python", values.python, manifest.python or None)
    if manifest.test_command not in _COMMANDS:
        known = ", ".join(" ".join(command) for command in _COMMANDS)
        yield ManifestFinding("test_command", shown(list(manifest.test_command)), f"is none of {known}")
    yield from _count("lines_of_code", manifest.lines_of_code)
    yield from _check("flags", values.flag, *manifest.flags)
    funnel = manifest.funnel
    for name in ("total", "needs_message", "kept", "mixed"):
        yield from _count(f"funnel.{name}", getattr(funnel, name))
    for reason, count in funnel.dropped.items():
        if reason not in set(DropReason):
            yield ManifestFinding("funnel.dropped", shown(reason), "is no reason to drop a commit")
        yield from _count(f"funnel.dropped.{shown(reason)}", count)


def _environment(field: str, environment: Environment, wheels: dict[str, str]) -> Iterator[ManifestFinding]:
    yield from _check(f"{field}.key", values.environment_id, environment.key)
    if environment.language == NODE:
        yield from node_environment(field, environment, wheels)
        return
    yield from _check(f"{field}.python", values.python, environment.python)
    yield from _check(f"{field}.abi", values.abi, environment.abi)
    if environment.abi != f"cp{environment.python.replace('.', '')}":
        yield ManifestFinding(
            f"{field}.abi", shown(environment.abi), f"is not that of Python {shown(environment.python)}"
        )
    yield from _check(f"{field}.requires", values.requirement, *environment.requires)
    yield from _check(f"{field}.cutoff", values.day, environment.cutoff)
    yield from _check(f"{field}.late_because", values.text, environment.late_because)
    if environment.days_after is not None and not 0 <= environment.days_after <= _DAYS:
        yield ManifestFinding(
            f"{field}.days_after", shown(environment.days_after), f"is no number of days up to {_DAYS}"
        )
    yield from _check(f"{field}.wheels", values.wheel, *environment.wheels)
    yield from _repeated(f"{field}.wheels", environment.wheels)
    derived = environment_key(environment.requires, environment.lock, environment.abi)
    if environment.key != derived:
        yield ManifestFinding(f"{field}.key", shown(environment.key), f"is not the key of what it holds ({derived})")
    if why := values.lock(environment.lock):
        yield ManifestFinding(f"{field}.lock", shown(environment.lock), why)
        return
    yield from _chosen(field, environment, wheels)


def _chosen(field: str, environment: Environment, wheels: dict[str, str]) -> Iterator[ManifestFinding]:
    """Whether the wheels of an environment are those that its lock pins, one for each release."""
    pinned = locked(environment.lock)
    for name in environment.wheels:
        if values.wheel(name):
            continue
        distribution, version, _, _ = parse_wheel_filename(name)
        hashes = pinned.pop((canonicalize_name(distribution), version), None)
        if hashes is None:
            yield ManifestFinding(
                f"{field}.wheels", shown(name), "is pinned by no line of the lock, or by one that has a wheel"
            )
        elif name not in wheels:
            yield ManifestFinding(f"{field}.wheels", shown(name), "is not among the package's wheels")
        elif wheels[name] not in hashes:
            yield ManifestFinding(
                f"{field}.wheels", shown(name), "has a hash in the package that the lock does not allow"
            )
    for left in pinned:
        yield ManifestFinding(f"{field}.lock", shown(f"{left[0]}=={left[1]}"), "has no wheel")


def _wheels(manifest: Manifest) -> Iterator[ManifestFinding]:
    used = {name for environment in manifest.environments for name in environment.wheels}
    for name, digest in manifest.wheels.items():
        yield from _check("wheels", values.wheel, name)
        yield from _check(f"wheels.{shown(name)}", values.sha256, digest)
        if name not in used:
            yield ManifestFinding("wheels", shown(name), "is used by no environment")
    yield from _repeated("wheels", (name.casefold() for name in manifest.wheels))


def _instance(field: str, instance: Instance, environments: set[str]) -> Iterator[ManifestFinding]:
    yield from _check(f"{field}.instance_id", values.component, instance.instance_id)
    yield from _check(f"{field}.commit", values.commit_id, instance.commit)
    yield from _check(f"{field}.base_commit", values.commit_id, instance.base_commit)
    if instance.commit == instance.base_commit:
        yield ManifestFinding(f"{field}.base_commit", shown(instance.base_commit), "is the commit itself")
    for name in ("task", "detail"):
        yield from _check(f"{field}.{name}", values.text, getattr(instance, name))
    yield from _check(f"{field}.version", values.version, instance.version)
    if instance.build is not None and (instance.build not in environments or instance.environment is None):
        yield ManifestFinding(f"{field}.build", shown(instance.build), "is no environment of the package")
    if instance.environment is not None and instance.environment not in environments:
        yield ManifestFinding(f"{field}.environment", shown(instance.environment), "is no environment of the package")
    yield from _files_and_tests(field, instance)
    if instance.valid and (instance.environment is None or not instance.fail_to_pass):
        yield ManifestFinding(
            f"{field}.reason", "None", "is for instances with an environment and tests that fail on the parent"
        )
    if instance.cause is not None:
        cause = instance.cause
        yield from _check(f"{field}.cause", values.text, cause.error, cause.text, cause.remedy)
    if instance.sampled is not None:
        yield from _check(f"{field}.sampled.files", values.path, *instance.sampled.files)
        yield from _check(f"{field}.sampled.share", values.share, instance.sampled.share)
        yield from _not_sampled(f"{field}.sampled.files", instance, set(instance.sampled.files))
    if instance.message is not None:
        yield from _check(f"{field}.message", values.text, instance.message.model, instance.message.judge)
        yield from _check(f"{field}.message.prompt_hash", values.sha256, instance.message.prompt_hash)
    if instance.generated is not None:
        yield from _generated(f"{field}.generated", instance.generated, instance)


def _not_sampled(field: str, instance: Instance, files: set[str]) -> Iterator[ManifestFinding]:
    """Tests that would never be run: their files are not in the sample."""
    generated = {file.path for file in instance.generated.files} if instance.generated else set()
    for test in (*instance.fail_to_pass, *instance.pass_to_pass):
        if file_of(test) not in files | generated:
            yield ManifestFinding(field, shown(test), "is a judging test of another file")


def _files_and_tests(field: str, instance: Instance) -> Iterator[ManifestFinding]:
    for name, check in (
        ("production_files", values.path),
        ("test_files", values.path),
        ("symbols", values.symbol),
        ("fail_to_pass", values.node_id),
        ("pass_to_pass", values.node_id),
    ):
        yield from _check(f"{field}.{name}", check, *getattr(instance, name))
        if name != "symbols":  # overloads share a name
            yield from _repeated(f"{field}.{name}", getattr(instance, name))
    yield from _repeated(f"{field}.planning_types", instance.planning_types)
    for both in sorted(set(instance.fail_to_pass) & set(instance.pass_to_pass)):
        yield ManifestFinding(f"{field}.pass_to_pass", shown(both), "is in fail_to_pass as well")
    for test in instance.excluded:
        yield from _check(f"{field}.excluded", values.text, test.id)
        yield from _check(f"{field}.excluded.reason", values.text, test.reason)


def _generated(field: str, generated: GeneratedTests, instance: Instance) -> Iterator[ManifestFinding]:
    yield from _check(f"{field}.files", values.path, *(file.path for file in generated.files))
    yield from _repeated(f"{field}.files", (file.path for file in generated.files))
    files = {file.path for file in generated.files}
    for path in sorted(files):
        if not is_test_path(path) or not path.endswith(".py"):
            yield ManifestFinding(f"{field}.files", shown(path), "would not be a test file")
    for test in generated.told_apart:
        yield from _check(f"{field}.told_apart", values.node_id, test)
        if test not in instance.fail_to_pass or file_of(test) not in files:
            yield ManifestFinding(f"{field}.told_apart", shown(test), "is no fail_to_pass test of the generated files")
    if generated.instead_of not in set(InvalidReason):
        yield ManifestFinding(f"{field}.instead_of", shown(generated.instead_of), "is no reason of an invalid instance")
    yield from _check(f"{field}.instead_of_detail", values.text, generated.instead_of_detail)
    yield from _check(f"{field}.model", values.line, generated.model)
    yield from _check(f"{field}.prompt_hash", values.sha256, generated.prompt_hash)
    yield from _check(f"{field}.answer_hash", values.sha256, generated.answer_hash)
    if not 1 <= generated.round <= 1000:
        yield ManifestFinding(f"{field}.round", shown(generated.round), "is no round")
