"""A campaign over several repositories with calls, faults, attributions and replays, in any raw store; its times and
numbers are the same each time. One repository, model and message are hostile to a page that does not escape them."""

from models.attribution import Attribution, Evidence, Label
from models.context import ContextPackage
from models.edits import CreateFile, EditResult, Rung
from models.manifest import InvalidReason, Manifest
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage
from store.runs import RawStore
from tests.support.store_material import TASK, make_manifest

HOSTILE = "<script>alert(1)</script>"
REPOSITORIES = ("stamina", "svcs", "attrs", f"a&b {HOSTILE}")
PLANNERS = ("no-plan", "student", "teacher")
FAULT = f"endpoint 'far': it failed (HTTP 503: {HOSTILE} $\\frac x$ --> busy {{}} s)"
_EDIT = CreateFile(path="lib.py", content="")
_KINDS = (
    OutcomeKind.PASSED, OutcomeKind.TESTS_FAILED, OutcomeKind.EDIT_REJECTED, OutcomeKind.PASSED,
    OutcomeKind.PROVIDER_ERROR, OutcomeKind.REGRESSION, OutcomeKind.PASSED_UNCONFIRMED, OutcomeKind.PLAN_MALFORMED,
)  # fmt: skip
_LABELS = (Label.RETRIEVAL, Label.PLAN, Label.CODE, Label.UNDETERMINED)


def make_campaign(store: RawStore, name: str = "arms", instances: int = 6) -> str:
    """Run the campaign under a label; returns its key."""
    manifests = [_manifest(repository, instances) for repository in REPOSITORIES]
    keys = {manifest.name: store.register_package(manifest) for manifest in manifests}
    campaign = store.register_campaign({"packages": [manifest.identity() for manifest in manifests]})
    store.start_run(campaign, name, "flow", [])
    turn = 0
    for strength, planner in enumerate(PLANNERS):
        for manifest in manifests:
            for instance in [each for each in manifest.instances if each.valid]:
                key = keys[manifest.name][instance.instance_id]
                _attempt(store, store.open_trajectory(campaign, key, planner, "v1", 0.3), turn, strength)
                turn += 1
    return campaign


def _manifest(repository: str, instances: int) -> Manifest:
    *valid, last = make_manifest(instances).instances
    without = last.model_copy(update={"reason": InvalidReason.NO_TESTS, "fail_to_pass": ()})
    named = [each.model_copy(update={"instance_id": f"{repository}-{n}"}) for n, each in enumerate([*valid, without])]
    return make_manifest(name=repository, instances=tuple(named))


def _attempt(store: RawStore, key: str, turn: int, strength: int) -> None:
    kind = OutcomeKind.PASSED if turn % 4 < strength else _KINDS[turn % len(_KINDS)]
    number = store.begin_attempt(key)
    assert number is not None
    recorder = store.recorder(key, number)
    for place, stage in enumerate(Stage):
        request = Request(stage=stage, task=TASK, context=ContextPackage(tokens=700 + turn, budget=1000))
        answer = Answer(
            text=f"{turn} {stage}", model=f"model {HOSTILE}", endpoint="far", prompt_tokens=1000 * (place + 1) + turn,
            completion_tokens=50 * (place + 1), cached_tokens=(400 + turn) * strength, cost=0.001 * (place + 1),
            latency=0.5 * (place + 1) + (turn % 10) / 3, retries=turn % 3 == 0, reused=turn % 5 == 0 and place < 3,
        )  # fmt: skip
        recorder.call(request, answer)
    if kind is OutcomeKind.PROVIDER_ERROR:
        store.close_trajectory(key, number, kind, detail=FAULT.format(turn), seconds=20.0)
        return
    if kind is not OutcomeKind.PLAN_MALFORMED:
        recorder.edits("p", "s", 0, [EditResult(edit=_EDIT, rung=Rung.EXACT)])
    if kind.failed and turn % 7:
        found = Attribution(label=_LABELS[turn % len(_LABELS)], reason="so", version=1, evidence=Evidence(outcome=kind))
        store.store_attribution(key, number, found)
    store.close_trajectory(key, number, kind, seconds=10.0 + turn)
