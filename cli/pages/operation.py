"""The page of the operation: what a person reads once a week."""

from collections.abc import Sequence

from cli.pages.charts import lines
from cli.pages.render import render
from cli.pages.section import Section, drawn, make_rows
from evals.statistics import Rate
from models.intake import IntakeVerdict
from training.cycle.past_rounds import PastRound
from training.operation.arrivals import Arrival
from training.operation.history import OperationHistory, TurnRecord
from training.operation.measuring import OUT_OF_DISTRIBUTION, RESERVED, GroupRates

_TIME = "%Y-%m-%d %H:%M"
_MIB = 2**20
_ARRIVALS = 30
"""Most arrivals that are listed."""


def operation_page(history: OperationHistory) -> str:
    """The page as HTML."""
    standing = history.standing
    notes = [
        f"The operation: {standing.state.value}. {standing.reason}".strip(),
        "cra operate --status --json has the same figures.",
    ]
    return render("The operation", notes, sections(history))


def sections(history: OperationHistory) -> list[Section]:
    """The sections of the page, what wants a decision first."""
    return [
        decisions(history),
        rounds(history.rounds),
        rates(history),
        serving(history),
        repositories(history.rounds),
        arrivals(history.arrivals),
        disk(history),
        databases(history.turns),
        turns(history),
    ]


def decisions(history: OperationHistory) -> Section:
    """What wants a person."""
    rows = make_rows([(number, text) for number, text in enumerate(history.wanted, 1)])
    return Section("decisions", "What wants a person's decision", (), ("number", "what"), rows, ("number",))


def rounds(found: Sequence[PastRound]) -> Section:
    """Rounds with their verdicts."""
    rows = [
        (each.number, f"{each.began_at:{_TIME}}", line.target.value, line.verdict, line.adapter or "-", line.reason)
        for each in found
        for line in each.lines
    ]
    columns = ("round", "begun at (UTC)", "target", "verdict", "adapter", "reason")
    return Section("rounds", "Rounds", ("Promoted is what a gate let in.",), columns, make_rows(rows), ("round",))


def rates(history: OperationHistory) -> Section:
    """pass@1 and pass@k of whole runs over turns."""
    rows = [
        (each.turn, each.group, *_cells(each.at_1), each.k, *_cells(each.at_k), each.at_1.instances,
         each.at_1.repositories, "few repositories" if each.at_1.weak else "")
        for each in history.rates
    ]  # fmt: skip
    notes = (
        "The share of reserved instances that whole runs of those who served after a turn solved: at the first try "
        "(pass@1), and with at least one of k samples (pass@k), with 95% intervals clustered by repository.",
        _unlike(history),
    )
    columns = (
        "turn", "group", "pass@1", "95% interval", "k", "pass@k", "its interval", "instances", "repositories", "note",
    )  # fmt: skip
    section = Section(
        "rates",
        "Reserved and out-of-distribution repositories",
        notes,
        columns,
        make_rows(rows),
        columns[:1] + columns[2:9],
    )
    known = {
        f"{group}, {name}": [(float(each.turn), value(each)) for each in history.rates if each.group == group]
        for group in (RESERVED, OUT_OF_DISTRIBUTION)
        for name, value in (("pass@1", _at_1), ("pass@k", _at_k))
    }
    shown = {name: points for name, points in known.items() if points}
    return drawn(
        section,
        bool(shown),
        lambda title, words: lines("rates", title, words, shown, ("turn", "share solved"), counted=True),
    )


def _unlike(history: OperationHistory) -> str:
    if history.unlike is None:
        return "No whole runs are measured: name packages of reserved repositories with --end-to-end."
    if not history.unlike:
        return (
            "Out of distribution is not measured: every reserved repository shares its organisation or its domain with "
            "one that was trained on, or its organisation is not known."
        )
    return (
        "Out of distribution are reserved repositories whose organisation, and whose domain where it is known, no "
        f"repository has that was trained on: {', '.join(history.unlike)}."
    )


def serving(history: OperationHistory) -> Section:
    """Who serves since when."""
    rows = [
        (
            each.target.value,
            each.adapter or "the base",
            "-" if each.decision is None else each.decision,
            "-" if each.since is None else f"{each.since:{_TIME}}",
        )
        for each in history.serving
    ]
    columns = ("target", "serves", "since decision", "at (UTC)")
    return Section("serving", "Who serves", (), columns, make_rows(rows), columns[2:3])


def repositories(found: Sequence[PastRound]) -> Section:
    """Repositories that rounds had for the first time."""
    rows = [(each.number, len(each.fresh), ", ".join(each.fresh)) for each in found if each.fresh]
    columns = ("round", "new repositories", "names")
    notes = ("Repositories that no earlier round had.",)
    return Section("repositories", "Fresh repositories", notes, columns, make_rows(rows), columns[:2])


def arrivals(found: Sequence[Arrival]) -> Section:
    """Packages that arrived, the newest first, with what the intake decided."""
    refused = sum(each.verdict is IntakeVerdict.REFUSED for each in found)
    rows = [
        (
            each.at[:16].replace("T", " "),
            each.name or each.source,
            each.verdict.value,
            each.use or "-",
            each.valid if each.verdict is not IntakeVerdict.REFUSED else "-",
            "-" if each.round is None else each.round,
            each.why,
        )
        for each in reversed(found[-_ARRIVALS:])
    ]
    notes = (
        f"{len(found)} packages have arrived, {refused} of them were refused." if found else "None has arrived.",
        "An accepted repository is in the next round, unless it is for evaluation. `cra ingest log` has each check.",
    )
    columns = ("arrived at (UTC)", "package", "verdict", "use", "valid instances", "first round", "why")
    return Section("arrivals", "Arrivals", notes, columns, make_rows(rows), columns[4:6])


def disk(history: OperationHistory) -> Section:
    """Use of the disk by turn, and how long it lasts."""
    ahead = history.forecast
    rate = "is not known yet" if ahead.bytes_per_turn is None else f"is {_mib(ahead.bytes_per_turn)} MiB a turn"
    left = "not in sight" if ahead.turns_left is None else f"in {ahead.turns_left} turns"
    notes = (
        f"{_mib(history.disk.used)} MiB used by data and cache, {_mib(history.disk.free)} MiB free. Growth {rate}; the "
        f"end of the disk or its budget is {left}.",
        "Now: " + ", ".join(f"{name} {_mib(size)}" for name, size in _largest(history.sizes)) + " MiB.",
    )
    known = [(turn, turn.disk) for turn in history.turns if turn.disk is not None]
    rows = [(t.number, _mib(state.used), _mib(state.free), _mib(t.freed), t.deleted) for t, state in known]
    columns = ("turn", "used, MiB", "free, MiB", "freed, MiB", "things deleted")
    section = Section("disk", "Disk", notes, columns, make_rows(rows), columns, folded=True)
    points = {"used": [(float(turn.number), state.used / _MIB) for turn, state in known]}
    return drawn(
        section, bool(known), lambda title, words: lines("disk", title, words, points, ("turn", "MiB"), counted=True)
    )


def _largest(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda each: -each[1])[:6]


def databases(found: Sequence[TurnRecord]) -> Section:
    """Sizes of the databases by turn."""
    rows = [
        (turn.number, name, _mib(each.bytes), _mib(each.before), "rewritten" if each.rewritten else each.note)
        for turn in found
        for name, each in turn.databases.items()
    ]
    columns = ("turn", "database", "MiB", "before upkeep, MiB", "upkeep")
    section = Section("databases", "Databases", (), columns, make_rows(rows), ("turn", *columns[2:4]), folded=True)
    names = dict.fromkeys(name for turn in found for name in turn.databases)
    points = {
        name: [(float(turn.number), turn.databases[name].bytes / _MIB) for turn in found if name in turn.databases]
        for name in names
    }
    return drawn(
        section,
        bool(points),
        lambda title, words: lines("databases", title, words, points, ("turn", "MiB"), counted=True),
    )


def turns(history: OperationHistory) -> Section:
    """Turns with where each led; jumps of the clock."""
    rows = [
        (
            turn.number,
            "-" if turn.round is None else turn.round,
            f"{turn.began_at:{_TIME}}",
            "open" if turn.standing is None else turn.standing.state.value,
            "" if turn.standing is None else turn.standing.reason,
        )
        for turn in history.turns
    ]
    columns = ("turn", "round", "begun at (UTC)", "led to", "reason")
    return Section("turns", "Turns", history.clock, columns, make_rows(rows), columns[:2])


def _at_1(rates: GroupRates) -> float:
    return rates.at_1.value


def _at_k(rates: GroupRates) -> float:
    return rates.at_k.value


def _cells(rate: Rate) -> tuple[str, str]:
    return f"{rate.value:.3f}", f"{rate.low:.3f} to {rate.high:.3f}"


def _mib(size: int) -> str:
    return f"{size / _MIB:,.1f}"
