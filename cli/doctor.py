"""`cra doctor`: each thing that a campaign needs on this machine, checked, with the remedy for what is missing."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import typer
from rich.text import Text

from cli.doctor_trainers import trainers, vllm
from cli.local_engine import NAMED
from cli.options import JsonOption
from cli.output import errors, print_json, printable, table
from cli.server.connection import read_connection, server_client_settings
from cli.status import LEAST_FREE
from host.air_gap import SHUT
from host.network import default_routes, interfaces_up
from host.offline import contradictions
from host.process import run
from host.settings import load_settings
from models.errors import CleanRoomError
from models.rehearsal import Finding, Verdict
from models.settings import Settings
from store.upkeep import MOST_SKEW

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


Check = Callable[[Settings], Iterator[Finding]]


def doctor(as_json: JsonOption = False) -> None:
    """Check what a campaign needs: sandbox, git, uv, interpreters, models, keys, trainers, vLLM,
    databases, server, disk, clock.

    In air-gapped mode also whether this machine has a way out. Each configured model is asked one short question, at
    the price of a few tokens. Exits with 1 if a check failed; a warning is no failure.
    """
    contradicting = contradictions(os.environ)  # before the settings set these variables
    findings = examine(load_settings(), contradicting)
    if as_json:
        print_json([finding.model_dump(mode="json") for finding in findings])
    else:
        rows = [
            [f.what, Text(f.verdict, style=_STYLES[f.verdict]), printable(f.found), printable(f.remedy)]
            for f in findings
        ]
        table("Doctor", ["checked", "verdict", "found", "remedy"], rows)
    if any(finding.verdict == "failed" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, contradicting: Sequence[str] = ()) -> list[Finding]:
    """What every check finds on this machine, shown as it goes on; `contradicting`: environment variables at odds with
    air-gapped mode."""
    findings: list[Finding] = []
    checks: dict[str, Check] = {"network": partial(_network, contradicting), **_CHECKS}
    for what, check in checks.items():
        if errors.is_terminal:
            errors.print(f"checking {what}", style="dim")
        findings += _findings(what, check, settings)
    return findings


def sandbox_findings(settings: Settings) -> list[Finding]:
    """What the check of the sandbox alone finds."""
    return _findings("sandbox", _sandbox, settings)


def _findings(what: str, check: Check, settings: Settings) -> list[Finding]:
    """What a check finds; an error of ours is a failed check, whose message holds the remedy."""
    try:
        return list(check(settings))
    except CleanRoomError as error:
        found, _, remedy = str(error).partition("; ")
        return [Finding(what=what, verdict="failed", found=found, remedy=remedy)]


def _network(contradicting: Sequence[str], settings: Settings) -> Iterator[Finding]:
    """Air-gapped mode, and what is at odds with it: `contradicting` are environment variables."""
    if not settings.air_gapped:
        found = "off: URLs, downloads and servers of others may be used"
        yield Finding(what="air-gapped mode", verdict="ok", found=found)
        return
    allowed = ", ".join(settings.air_gapped_hosts) or "none"
    found = f"on: refused are {SHUT}; other hosts that may be used: {allowed}"
    yield Finding(what="air-gapped mode", verdict="ok", found=found)
    up, routes = interfaces_up(), default_routes()
    found = f"interfaces that are up, besides loopback: {', '.join(up) or 'none'}"
    if routes:
        found += f"; default route by {', '.join(routes)}"
        remedy = "an air-gapped machine has no default route: remove it, or take the interface down"
        yield Finding(what="network", verdict="warning", found=found, remedy=remedy)
    else:
        yield Finding(what="network", verdict="ok", found=found)
    if contradicting:
        found = f"contradict air-gapped mode and are not obeyed: {', '.join(contradicting)}"
        yield Finding(what="variables", verdict="warning", found=found, remedy="unset them")


def _sandbox(settings: Settings) -> Iterator[Finding]:
    from runtime.sandbox.opening import tested, unenforced

    if settings.sandbox == "none":
        remedy = "unset CRA_SANDBOX unless you trust all code"
        yield Finding(what="sandbox", verdict="warning", found="none: tests can do what you can", remedy=remedy)
        return
    box, checks = tested()
    yield Finding(what="sandbox", verdict="ok", found=f"{box.kind}: {len(checks)} claims tested")
    if missing := unenforced(box):
        found = f"not enforced by the kernel: {', '.join(missing)}"
        yield Finding(what="limits", verdict="warning", found=found, remedy="see `cra sandbox check`")


def _git(settings: Settings) -> Iterator[Finding]:
    yield Finding(what="git", verdict="ok", found=run(["git", "--version"], timeout=30).decode().strip())


def _uv(settings: Settings) -> Iterator[Finding]:
    yield Finding(what="uv", verdict="ok", found=run(["uv", "--version"], timeout=30).decode().strip())


def _interpreters(settings: Settings) -> Iterator[Finding]:
    said = run(["uv", "python", "list", "--only-installed", "--offline", "--no-config"], timeout=60).decode()
    names = sorted({line.split()[0].split("-")[1] for line in said.splitlines() if line.startswith("cpython-")})
    if names:
        yield Finding(what="interpreters", verdict="ok", found=", ".join(names))
    else:
        fetched = "`uv python install 3.9 3.11 3.13`"
        remedy = "the system's, or a bundle made with `--with-python`" if settings.air_gapped else fetched
        yield Finding(what="interpreters", verdict="warning", found="uv knows none", remedy=remedy)


def _models(settings: Settings) -> Iterator[Finding]:
    from llm.check import check
    from store.active_adapters import Aliases

    for report in check(settings.models, Aliases(settings.curated_url)):
        what = f"model {report.endpoint}"
        if report.usable:
            yield Finding(what=what, verdict="ok", found=f"{report.model}, window {report.window}")
        else:
            found, _, remedy = report.fault.partition("; ")
            verdict: Verdict = "failed" if report.uses else "warning"
            yield Finding(what=what, verdict=verdict, found=found, remedy=remedy or "see `cra models check`")


def _corpus(settings: Settings) -> Iterator[Finding]:
    from flows.packages import corpus_packages
    from models.errors import UsageError

    try:
        packages = corpus_packages([], settings)
    except UsageError as error:
        found, _, remedy = str(error).partition("; ")
        yield Finding(what="corpus", verdict="warning", found=found, remedy=remedy)
    else:
        yield Finding(what="corpus", verdict="ok", found=f"{len(packages)} repo packages in {settings.corpus}")


def _databases(settings: Settings) -> Iterator[Finding]:
    from store.database import HEADS, DatabaseKind
    from store.upkeep import database_facts

    kinds: tuple[tuple[DatabaseKind, str], ...] = (("raw", settings.raw_url), ("curated", settings.curated_url))
    for kind, url in kinds:
        facts = database_facts(url, kind)
        if facts.schema in (None, HEADS[kind]):
            found = f"{facts.where}, schema {facts.schema or 'not made yet'}"
            yield Finding(what=f"{kind} database", verdict="ok", found=found)
        else:
            found = f"{facts.where} has schema {facts.schema}, this code {HEADS[kind]}"
            remedy = "the next command brings an older one up to date; for a newer one, upgrade clean-room-agent"
            yield Finding(what=f"{kind} database", verdict="warning", found=found, remedy=remedy)
        if url == settings.raw_url and not url.startswith("sqlite"):
            yield _clock("clock, against the database", facts.skew)


def _server(settings: Settings) -> Iterator[Finding]:
    connection = read_connection(settings)
    if connection is None and not os.environ.get(NAMED):
        found = "none: commands start an engine of their own"
        yield Finding(
            what="server", verdict="warning", found=found, remedy="`cra up`, for workers, schedules and the UI"
        )
        return
    with server_client_settings(settings):
        from prefect.client.orchestration import get_client

        from cli.server.connection import POOL
        from flows.server.state import server_state

        with get_client(sync_client=True) as client:
            state = server_state(client, POOL)
            where = str(client.api_url)
    yield Finding(what="server", verdict="ok", found=f"{where}, {state.deployments} deployments")
    yield _clock("clock, against the server", state.skew)
    if state.other_code:
        found = f"the deployments are of version {state.other_code}"
        yield Finding(what="code", verdict="failed", found=found, remedy="run `cra up`, or install that version here")
    online = [worker.name for worker in state.workers if worker.online]
    if online:
        yield Finding(what="workers", verdict="ok", found=", ".join(online))
    else:
        yield Finding(what="workers", verdict="failed", found="none is online", remedy="`cra up` or `cra worker`")


def _clock(what: str, skew: float) -> Finding:
    if abs(skew) <= MOST_SKEW:
        return Finding(what=what, verdict="ok", found="within a minute")
    found = f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    return Finding(what=what, verdict="failed", found=found, remedy="set the clock, for instance with chrony")


def _disk(settings: Settings) -> Iterator[Finding]:
    for name, path in (("data", settings.data_dir.absolute()), ("cache", settings.cache_dir.absolute())):
        there = next(each for each in (path, *path.parents) if each.exists())
        free = shutil.disk_usage(there).free
        found = f"{free / 2**30:.1f} GiB free at {path}"
        if free >= LEAST_FREE:
            yield Finding(what=f"disk of {name}", verdict="ok", found=found)
        else:
            remedy = f"free some space, or set CRA_{name.upper()}_DIR to another disk"
            yield Finding(what=f"disk of {name}", verdict="failed", found=found, remedy=remedy)


_CHECKS: dict[str, Check] = {
    "sandbox": _sandbox,
    "git": _git,
    "uv": _uv,
    "interpreters": _interpreters,
    "models": _models,
    "trainers": trainers,
    "vllm": vllm,
    "corpus": _corpus,
    "databases": _databases,
    "server": _server,
    "disk": _disk,
}
