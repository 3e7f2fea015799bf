"""A campaign with trajectories of every kind, among them texts that attack whoever shows them."""

from models.attribution import Attribution, Evidence, Label
from models.chat import Message, prompt_text
from models.outcomes import OracleKind, OutcomeKind, Validation
from models.protocols import Answer, Request, Stage, Task
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from store.runs import RawStore
from tests.support.store_material import META, PART, PLAN, make_manifest, record_all

NAME = "c"
ELSEWHERE = "http://elsewhere.invalid"
HOSTILE = (
    f"<script>window.ran = 'script'; fetch('{ELSEWHERE}/script')</script>\n"
    f"<img src=x onerror=\"window.ran = 'onerror'; fetch('{ELSEWHERE}/onerror')\">\n"
    f"<img src='{ELSEWHERE}/img'><iframe src='{ELSEWHERE}/frame'></iframe>\n"
    f"<link rel=stylesheet href='{ELSEWHERE}/css'>\n"
    f"![picture]({ELSEWHERE}/markdown.png) [link]({ELSEWHERE}/link) [script](javascript:window.ran='link')\n"
    f"<svg onload=\"window.ran = 'svg'\"></svg> $\\href{{javascript:window.ran='math'}}{{x}}$ <{ELSEWHERE}/auto>\n"
    "</script></head><script>window.ran = 'broken out'</script>\n"
)
SURROGATE = "\ud800"
"""No character: JSON readers refuse it."""
FAILED = SuiteReport(
    end=SuiteEnd.COMPLETED,
    exit_code=1,
    seconds=2.0,
    cases={"t.py::test": CaseResult(id="t.py::test", status=CaseStatus.FAILED, message=f"assert 1 == 2 {HOSTILE}")},
    output=f"1 failed\n{HOSTILE}",
    command=("/home/me/venv/bin/python", "-m", "pytest", "t.py"),
)
PROMPT = prompt_text((Message(role="system", content="Plan."), Message(role="user", content=f"Add it {HOSTILE}")))
PATCH = f"diff --git a/lib.py b/lib.py\n--- a/lib.py\n+++ b/lib.py\n@@ -1 +1 @@\n-x = 1\n+x = 2  # {HOSTILE}"


def fill(store: RawStore, name: str = NAME) -> dict[str, str]:
    """Make the campaign; its trajectories by what became of them.

    `passed` has two temperatures; `failed` an earlier attempt that the provider ended; `broken` no verdict at all;
    `waiting` no attempt.
    """
    keys = store.register_package(make_manifest())
    campaign = store.register_campaign({"planners": ["student", "null"], "of": name})
    store.start_run(campaign, name, "flow", ["/nowhere"])

    def opened(instance: str, planner: str, temperature: float = 0.0, sample: int = 0) -> str:
        return store.open_trajectory(campaign, keys[instance], planner, f"{planner} v1", temperature, sample)

    found = {
        "passed": opened("lib-0", "student"),
        "warm": opened("lib-0", "student", 0.5, 1),
        "failed": opened("lib-1", "student"),
        "broken": opened("lib-1", "student", 0.5, 1),
        "waiting": opened("lib-0", "null"),
    }
    for kind in ("passed", "warm"):
        _attempt(store, found[kind], OutcomeKind.PASSED)
    _attempt(store, found["failed"], OutcomeKind.PROVIDER_ERROR)
    _attempt(store, found["failed"], OutcomeKind.TESTS_FAILED, keys["lib-1"])
    _attempt(store, found["broken"], OutcomeKind.PROVIDER_ERROR)
    return found


def _attempt(store: RawStore, key: str, kind: OutcomeKind, instance: str = "") -> None:
    number = store.begin_attempt(key)
    assert number is not None
    recorder = store.recorder(key, number)
    record_all(recorder)
    task = Task(text="Add it", repository="lib", base="b" * 40)
    request = Request(stage=Stage.CODE, task=task, meta=META, part=PART, plan=PLAN, step=PLAN.steps[0])
    recorder.call(
        request,
        Answer(text=HOSTILE + SURROGATE, reasoning=HOSTILE, model="m", prompt=PROMPT, prompt_tokens=100,
               cached_tokens=40, completion_tokens=10, cost=0.25, latency=1.5, temperature=0.5, seed=7,
               finish_reason="length"),
    )  # fmt: skip
    recorder.decision(Stage.CODE, HOSTILE, "refuse", HOSTILE)
    recorder.tests("affected", FAILED)
    verdict = None
    if instance:
        verdict = store.store_validation(
            instance,
            Validation(
                key=f"v{key}", oracle=OracleKind.F2P_P2P, kind=kind, f2p_failed=("t.py::test",), detail="1 of 1"
            ),
            FAILED,
        )
        evidence = Evidence(outcome=kind)
        store.store_attribution(
            key,
            number,
            Attribution(label=Label.PLAN, reason=f"the plan omits it {HOSTILE}", version=1, evidence=evidence),
        )
    store.close_trajectory(
        key,
        number,
        kind,
        patch=PATCH if kind.final else "",
        detail=HOSTILE if kind.failed else "",
        validation=verdict.key if verdict else None,
        seconds=4.0,
    )
