"""A trajectory as a sample of an Inspect log, and a planner's trajectories as the header of one: plain data, which
`exchange.inspect_writer` checks and writes.

Ids are derived from the trajectory, so the same rows give the same sample.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath
from typing import Any

from exchange.inspect_events import Json, attempt_events, call_usage, plain, short_id
from models.outcomes import Blame, OutcomeKind
from store.runs import ExportedTrajectory, ExportGroup, digest
from store.runs.events import CallEvent, OutcomeEvent, Trace

_TESTS = 20
"""Names of fail-to-pass tests that a sample's target lists."""
OPEN = "open"
"""Outcome of a trajectory without a verdict whose attempts all go on, or were killed."""
COLUMNS = (
    ("resolved", "resolved"),
    ("outcome", "outcome"),
    ("stage_at_fault", "stage at fault"),
    ("blame", "blame"),
    ("cost", "cost"),
    ("repository", "repository"),
    ("commit", "commit"),
    ("temperature", "temperature"),
    ("sample", "sample"),
)
"""Our columns of a viewer's table of samples: each is a score of the sample, with its heading."""


def sample(found: ExportedTrajectory, group: ExportGroup) -> Json:
    """A trajectory as a sample. Its epoch is the position of its temperature and sample index in the campaign."""
    trace = found.trace
    last = last_outcome(trace)
    calls = [event for event in trace.events if event.event == "call"]
    patch = last.patch if last else ""
    data: Json = {
        "id": found.label,
        "epoch": group.conditions.index((trace.temperature, trace.sample)) + 1,
        "uuid": short_id(trace.id),
        "input": found.task,
        "target": [*found.fail_to_pass[:_TESTS], *_more(len(found.fail_to_pass) - _TESTS)],
        "messages": [
            {"id": short_id(trace.id, "task"), "role": "user", "content": found.task},
            {"id": short_id(trace.id, "patch"), "role": "assistant", "content": patch or "(no patch)"},
        ],
        "output": {
            "model": model_name(calls) or trace.planner,
            "choices": [
                {
                    "message": {"id": short_id(trace.id, "patch"), "role": "assistant", "content": patch},
                    "stop_reason": "stop",
                }
            ],
        },
        "scores": _scores(found, last, calls),
        "metadata": _metadata(found, last),
        "events": [event for number in _attempts(trace) for event in attempt_events(found, number)],
        "model_usage": _usage(calls),
        "started_at": _time(trace.opened_at),
        "completed_at": _time(trace.closed_at or trace.opened_at),
        "total_time": sum(outcome.seconds for outcome in trace.outcomes),
        "working_time": sum(call.latency for call in calls if not call.reused),
        "turn_count": len(calls),
    }
    if trace.outcome is None:
        said = f"{last.kind.value}: {last.detail}" if last else "no attempt has ended"
        data["error"] = {"message": f"not finished: {said}", "traceback": "", "traceback_ansi": ""}
    checked: Json = plain(data)
    return checked


def header(group: ExportGroup, tally: "Tally") -> Json:
    """The header of a planner's log: what was run, our columns, and how many passed."""
    run = digest("inspect", group.campaign, group.planner)
    judged = tally.outcomes["C"] + tally.outcomes["P"] + tally.outcomes["I"]
    rate = tally.outcomes["C"] / judged if judged else 0.0
    data: Json = {
        # `cancelled` is the format's word for a run that was stopped: a viewer would wait for one that is `started`.
        "status": "success" if group.closed == group.total else "cancelled",
        "eval": {
            "eval_id": short_id(run, "eval"),
            "run_id": short_id(run, "run"),
            "task_id": short_id(run, "task"),
            "created": _time(group.started_at),
            "task": f"{group.name} {group.planner}",
            "model": "+".join(sorted(tally.usage)[:3]) or group.planner,
            "dataset": {"name": group.name, "samples": tally.instances},
            "config": {"epochs": len(group.conditions)},
            "tags": [group.planner],
            "metadata": {
                "campaign": group.campaign,
                "planner": group.planner,
                "trajectories": group.total,
                "closed": group.closed,
                "not finished (shown)": group.begun - group.closed,
                "not begun (left out)": group.total - group.begun,
                "epochs": [f"{n}: t{t:g} #{k}" for n, (t, k) in enumerate(group.conditions, start=1)],
            },
            "viewer": _viewer(),
            "scorers": [{"name": name} for name, _ in COLUMNS],
        },
        "plan": {"name": group.planner, "steps": [{"solver": group.planner}]},
        "results": {
            "total_samples": tally.samples,
            "completed_samples": group.closed,
            "scores": [
                {
                    "name": "resolved",
                    "scorer": "resolved",
                    "scored_samples": judged,
                    "unscored_samples": tally.samples - judged,
                    "metrics": {"passed": {"name": "passed", "value": round(rate, 4)}},
                }
            ],
        },
        "stats": {
            "started_at": _time(group.started_at),
            "completed_at": _time(tally.latest or group.started_at),
            "model_usage": tally.usage,
        },
    }
    checked: Json = plain(data)
    return checked


class Tally:
    """What a log's header says about its samples, counted as they go by."""

    def __init__(self) -> None:
        self.samples = self.instances = 0
        self._label = ""
        self.outcomes: Counter[str] = Counter()
        self.usage: dict[str, dict[str, Any]] = {}
        self.latest: datetime | None = None

    def add(self, data: Json, trace: Trace) -> None:
        """Count a sample."""
        self.samples += 1
        self.instances += data["id"] != self._label  # they come by instance
        self._label = data["id"]
        self.outcomes[data["scores"]["resolved"]["value"]] += 1
        for model, usage in data["model_usage"].items():
            sums = self.usage.setdefault(model, dict.fromkeys(usage, 0))
            for key, number in usage.items():
                sums[key] += number
        if trace.closed_at is not None:
            self.latest = max(self.latest or trace.closed_at, trace.closed_at)


def last_outcome(trace: Trace) -> OutcomeEvent | None:
    """The outcome of the attempt that counts; of an open trajectory, of the last attempt that ended."""
    wanted = [each for each in trace.outcomes if trace.closed_attempt in (None, each.attempt)]
    return wanted[-1] if wanted else None


def model_name(calls: Iterable[CallEvent]) -> str:
    """The models that answered, each once."""
    return "+".join(dict.fromkeys(call.model for call in calls))


def _attempts(trace: Trace) -> list[int]:
    numbers = {event.attempt for event in trace.events} | {outcome.attempt for outcome in trace.outcomes}
    return sorted(numbers)


def _scores(found: ExportedTrajectory, last: OutcomeEvent | None, calls: Iterable[CallEvent]) -> Json:
    trace = found.trace
    kind = trace.outcome
    attributed = last.attribution if last else None
    shape = kind.blame.value if kind and kind.blame is not Blame.NONE else "-"
    values: dict[str, tuple[Any, str]] = {
        "resolved": (_resolved(kind), last.detail if last else ""),
        "outcome": (last.kind.value if last else OPEN, last.detail if last else ""),
        "stage_at_fault": (attributed.label.value if attributed else "-", attributed.reason if attributed else ""),
        "blame": (shape, "the party at fault, as far as the outcome's shape shows"),
        "cost": (round(sum(call.cost for call in calls if not call.reused), 6), ""),
        "repository": (trace.repository, ""),
        "commit": (trace.commit[:7], trace.commit),
        "temperature": (trace.temperature, ""),
        "sample": (trace.sample, ""),
    }
    return {name: {"value": value, "explanation": why or None} for name, (value, why) in values.items()}


def _resolved(kind: OutcomeKind | None) -> str:
    """Inspect's letters: correct, partly (the tests pass, their twins do not), incorrect, no answer."""
    if kind is None:
        return "N"
    if kind.succeeded:
        return "C"
    return "P" if kind is OutcomeKind.PASSED_UNCONFIRMED else "I"


def _metadata(found: ExportedTrajectory, last: OutcomeEvent | None) -> Json:
    trace = found.trace
    data: Json = {
        "trajectory": trace.id,
        "see": f"cra trace {trace.id[:12]}",
        "instance": trace.instance,
        "repository": trace.repository,
        "commit": trace.commit,
        "base_commit": trace.base_commit,
        "package": trace.package,
        "planner": trace.planner,
        "source": trace.source,
        "attempts": trace.attempts,
        "closed_attempt": trace.closed_attempt,
    }
    if last is not None:
        data |= {
            "oracle": last.oracle,
            "detail": last.detail,
            "seconds": last.seconds,
            "alignment": last.alignment,
            "own_tests": last.own_tests.sentence if last.own_tests else None,
            "patch_files": sorted(
                {line[6:] for line in last.patch.splitlines() if line.startswith("+++ b/") and PurePath(line[6:]).name}
            ),
        }
    return data


def _usage(calls: Iterable[CallEvent]) -> Json:
    """Tokens and cost by model, of the calls that reached one."""
    usage: dict[str, Json] = {}
    for call in calls:
        if not call.reused:
            sums = usage.setdefault(call.model, Counter())
            sums.update(call_usage(call))
    return {model: dict(sums) for model, sums in usage.items()}


def _viewer() -> Json:
    """Our columns, and content shown as plain text: it was written by models and by strangers' repositories."""
    columns = [{"id": "sampleStatus"}, {"id": "sampleId"}, {"id": "epoch"}]
    columns += [{"id": f"score__{name}__{name}"} for name, _ in COLUMNS]
    columns += [{"id": "tokens"}, {"id": "duration"}, {"id": "error"}]
    hidden = [{"id": name, "visible": False} for name in ("input", "target", "answer")]
    return {
        "trust_content": False,
        "task_samples_view": {
            "name": "campaign",
            "columns": [*columns, *hidden],
            "multiline": False,
            "compact_scores": False,
            "score_labels": dict(COLUMNS),
        },
    }


def _more(number: int) -> list[str]:
    return [f"... and {number} more"] if number > 0 else []


def _time(moment: datetime) -> str:
    return moment.isoformat()
