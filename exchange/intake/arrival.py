"""One package's way from a medium into the corpus: copied, checked from the cheapest check on, validated, moved."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from exchange.intake.checking import check_content, check_files_named, check_listing, check_manifest
from exchange.intake.context import Arrival, IntakeContext
from exchange.intake.gold import Sandboxed, build_environments, validate_again
from exchange.intake.history import extend, package_here, require_newer
from exchange.intake.integration import integrate
from exchange.intake.ledger import last_arrival, read_events, record
from exchange.intake.present import check_known_wheels, check_origin, manifests_here
from exchange.intake.quarantine import (
    check_large_files,
    check_space,
    content_hash,
    copy_files,
    list_tree,
    listing_hash,
    unlisted_hash,
)
from exchange.intake.reservation import use_of
from harness.packages.checks.arriving_clone import remove_caches
from harness.packages.checks.arriving_plugins import plugins_of
from harness.packages.checks.tree import TreeFile
from harness.packages.package import (
    MANIFEST,
    TIMINGS,
    RepoPackage,
    read_manifest,
    read_package,
    write_atomically,
)
from host.private import private_directory
from host.throwaway import discard
from models.errors import (
    CleanRoomError,
    EnvironmentFault,
    InfrastructureError,
    ManifestError,
    MoveUnconfirmed,
    PackageRefused,
    RepositoryError,
    WheelError,
)
from models.intake import IntakeEvent, IntakeVerdict, RefusalReason
from models.manifest import Manifest

_FAULTS: dict[type[CleanRoomError], RefusalReason] = {
    RepositoryError: RefusalReason.GIT_OBJECTS,
    ManifestError: RefusalReason.MANIFEST,
    WheelError: RefusalReason.WHEEL,
    EnvironmentFault: RefusalReason.ENVIRONMENT,
    InfrastructureError: RefusalReason.MACHINE,
}
"""Errors of other parts that end one package's arrival, and no others', with the reason that each is recorded as."""


def take_in(context: IntakeContext, source: Path) -> IntakeEvent:
    """Take in the package in a folder of a medium; the event, which is in the ledger.

    Nothing but the ledger is left of a package that is refused. The caller holds the lock. Raises MoveUnconfirmed, and
    InfrastructureError only where the ledger cannot be written.
    """
    arrival = Arrival(context, source)
    try:
        private_directory(arrival.folder)
        event = _checked(arrival)
    except PackageRefused as error:
        event = _refused(arrival, error.reason, str(error))
    except MoveUnconfirmed:
        raise
    except tuple(_FAULTS) as error:
        reason = next(reason for kind, reason in _FAULTS.items() if isinstance(error, kind))
        event = _refused(arrival, reason, str(error))
    except OSError as error:
        event = _refused(arrival, RefusalReason.MACHINE, f"{error.filename}: {error.strerror}; try again")
    finally:
        discard(arrival.folder)
    return event


def _refused(arrival: Arrival, reason: RefusalReason, detail: str) -> IntakeEvent:
    event = arrival.event(IntakeVerdict.REFUSED).model_copy(update={"reason": reason, "detail": detail[:1000]})
    if arrival.context.keep_refused and arrival.folder.is_dir():
        kept = private_directory(arrival.context.folders.refused)
        arrival.folder.rename(kept / arrival.id)
    record(arrival.context.folders, event)
    return event


def _checked(arrival: Arrival) -> IntakeEvent:
    """The event of a package that passed all checks. Raises PackageRefused, InfrastructureError, OSError."""
    context = arrival.context
    directory, manifest, entries = _copied(arrival)
    if (event := _already_here(arrival)) is not None:
        return event
    history = arrival.folder / "history"
    removed = remove_caches(directory / "repo")
    entries = [each for each in entries if each.path not in removed]
    package = check_content(arrival.log, directory, manifest, entries, context.limits, history)
    unknown = sorted(manifest.wheels.keys() - arrival.known)
    arrival.knows(plugins=tuple(name for name in unknown if plugins_of(package.wheels / name)))
    discard(directory / "repo")
    history.rename(directory / "repo")
    with arrival.log.check("corpus"):
        here = package_here(context.folders.corpus, manifest.name)
        if here is not None:
            require_newer(here, package)
    with arrival.log.check("reservations"):
        use = use_of(context.curated, context.raw, package)
    known = {each.commit for each in here.manifest.instances if each.valid} if here is not None else set()
    package, lost = _validated(arrival, package, known)
    if here is not None:
        package = extend(package, here)
    with arrival.log.check("result"):
        package = _result(package)
    event = arrival.event(IntakeVerdict.ACCEPTED if here is None else IntakeVerdict.UPDATED)
    valid = sum(each.valid for each in package.manifest.instances)
    event = event.model_copy(update={"identity": package.identity, "use": use, "valid": valid, "lost": lost})
    if here is not None and here.identity == package.identity:
        event = event.model_copy(update={"verdict": IntakeVerdict.ALREADY_HERE})
    if context.dry_run:
        event = event.model_copy(update={"verdict": IntakeVerdict.CHECKED})
    if event.verdict in (IntakeVerdict.CHECKED, IntakeVerdict.ALREADY_HERE):
        record(context.folders, event)
    else:
        context.stage("moving into the corpus")
        integrate(context.folders, directory, event)
    return event


def _copied(arrival: Arrival) -> tuple[Path, Manifest, list[TreeFile]]:
    """The copy in quarantine, its manifest, and the list of its files.

    The manifest is copied and checked first, then the ends of large files where they are, then all else is copied.
    """
    context, incoming = arrival.context, arrival.folder / "incoming"
    with arrival.log.check("listing"), contextlib.ExitStack() as opened:
        try:
            medium = opened.enter_context(context.reading(arrival.source))
            entries = list_tree(medium)
            arrival.knows(listing=listing_hash(medium, entries))
        except PackageRefused as error:
            arrival.knows(listing=unlisted_hash(arrival.source, error))
            raise
        total = sum(each.size for each in entries if not each.folder)
        arrival.knows(files=len(entries), bytes=total)
        kept_open = opened.pop_all()
    with kept_open:
        check_listing(arrival.log, entries)
        check_space(arrival.folder, entries)
        incoming.mkdir()
        first = [each for each in entries if each.path == MANIFEST]
        hashes = copy_files(medium, incoming, first, lambda size: None)
        manifest = check_manifest(arrival.log, incoming)
        arrival.knows(
            name=manifest.name,
            identity=manifest.identity(),
            head=manifest.head,
            valid=sum(each.valid for each in manifest.instances),
        )
        check_files_named(arrival.log, entries, manifest)
        with arrival.log.check("known"):
            here = manifests_here(context.folders.corpus)
            check_origin(manifest, here)
            arrival.known = check_known_wheels(manifest, here)
            arrival.knows(wheels=len(manifest.wheels), known_wheels=len(arrival.known))
        with arrival.log.check("large-files"):
            check_large_files(medium, entries)
        named = arrival.folder / "named"
        named.mkdir()
        directory = incoming.rename(named / manifest.name)
        with arrival.log.check("copy"):
            rest = [each for each in entries if each.path != MANIFEST]
            hashes |= copy_files(medium, directory, rest, _told(context, manifest.name, total))
            arrival.knows(content=content_hash(hashes))
    return directory, manifest, entries


def _told(context: IntakeContext, name: str, total: int) -> Callable[[int], None]:
    """A listener of copied bytes that tells the progress of each hundredth of them."""
    done = 0

    def copied(size: int) -> None:
        nonlocal done
        before, done = done * 100 // max(total, 1), done + size
        if done * 100 // max(total, 1) > before:
            context.progress(f"{name}: copying, MiB", done >> 20, total >> 20)

    return copied


def _already_here(arrival: Arrival) -> IntakeEvent | None:
    """The event of a package whose very files were integrated before, if the corpus still holds what came of them."""
    folders = arrival.context.folders
    before = last_arrival(read_events(folders), arrival.package.content)
    if before is None:
        return None
    try:
        identity = read_manifest(folders.corpus / arrival.package.name).identity()
    except ManifestError:
        return None
    if identity != before.identity:
        return None
    event = arrival.event(IntakeVerdict.ALREADY_HERE)
    event = event.model_copy(update={"identity": identity, "use": before.use, "valid": before.valid})
    record(folders, event)
    return event


def _result(package: RepoPackage) -> RepoPackage:
    """The package as the corpus would hold it, read as every program will. Raises PackageRefused if none could."""
    try:
        return read_package(package.directory)
    except ManifestError as error:
        why = str(error).replace(f"{package.directory}/", "").replace(str(package.directory), package.manifest.name)
        raise PackageRefused(RefusalReason.IDENTITY, f"what the history says cannot be kept: {why}") from error


def _validated(arrival: Arrival, package: RepoPackage, known: set[str]) -> tuple[RepoPackage, dict[str, str]]:
    """The package with instances as they are valid here, written in quarantine; and those that are lost.

    Those at `known` commits are valid in the corpus already.
    """
    context = arrival.context
    sandboxed = Sandboxed(context.runtime, context.cache, context.limits)
    with arrival.log.check("environments"):
        build_environments(sandboxed, package)
    with arrival.log.check("gold"):

        def say(what: str, done: int, total: int) -> None:
            context.progress(f"{package.manifest.name}: gold validation", done, total)

        outcome = validate_again(sandboxed, package, known, say)
    manifest = package.manifest.model_copy(update={"instances": outcome.instances})
    write_atomically(package.directory / MANIFEST, manifest.to_json())
    timings = json.dumps(outcome.timings, indent=2, sort_keys=True) + "\n"
    write_atomically(package.directory / TIMINGS, timings)
    return replace(package, manifest=manifest), outcome.lost
