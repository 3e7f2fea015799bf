"""Repositories with commits that say nothing, and scripted models that describe them and judge descriptions."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.supplement.messages import RegenerationReport, regenerate
from harness.supplement.messages.asking import Endpoint
from harness.supplement.messages.regeneration import SCORE_TOKENS, THRESHOLD, WRITE_TOKENS, MessageModels
from llm import Meter, open_endpoint
from models.llm_settings import ModelSettings
from models.mining import MiningRules
from tests.support.asking import endpoint
from tests.support.bad_server import Behaviour, Script, ScriptedServer
from tests.support.direct_material import PACKAGE, SIGNED, STRIPPED
from tests.support.mining_history import Entry

SPEECHLESS = [
    Entry("Add the package of spans", dict(PACKAGE)),
    Entry("wip", {"src/spans/parse.py": STRIPPED}),
    Entry(
        "stuff",
        {
            "src/spans/parse.py": SIGNED,
            "tests/test_parse.py": PACKAGE["tests/test_parse.py"] + "    assert parse('1', -1) == -1\n",
        },
    ),
    Entry("Remove unused from the parser", {"src/spans/parse.py": SIGNED.partition("\n\n\ndef unused")[0] + "\n"}),
]
"""A history of four commits; mining keeps the last, and sets the second and the third aside."""

STRIP = {"subject": "Strip white space before parse reads the text", "body": "It accepts text with blanks around it."}
SIGN = {"subject": "Let parse take a sign for the number", "body": ""}
GOOD = {"fidelity": 5, "specificity": 4, "task_form": 5, "no_invention": 5}


def prompt_of(request: dict[str, Any]) -> str:
    """The text of a request's last message."""
    return str(request["messages"][-1]["content"])


def judging(request: dict[str, Any]) -> bool:
    """Whether a request is one to a judge."""
    return "# The description" in prompt_of(request)


def described(request: dict[str, Any]) -> dict[str, str]:
    """A true description of a commit of SPEECHLESS."""
    return SIGN if "sign * int" in prompt_of(request) else STRIP


def model(write: Callable[[dict[str, Any]], Behaviour] | None = None, scores: Behaviour | None = None) -> Script:
    """A script of a model that writes and judges; by default well, and generously."""

    def script(request: dict[str, Any]) -> Behaviour:
        if judging(request):
            return json.dumps(GOOD) if scores is None else scores
        return json.dumps(described(request)) if write is None else write(request)

    return script


def lexical_judge(request: dict[str, Any]) -> str:
    """Scores by the share of a description's words that the change holds: the least that a judge must do."""
    change, _, description = prompt_of(request).partition("# The description")
    words = set(re.findall(r"[a-z]{3,}", description.lower()))
    score = 1 + round(4 * len(words & set(re.findall(r"[a-z]{3,}", change.lower()))) / max(1, len(words)))
    return json.dumps(dict.fromkeys(GOOD, score))


def models_of(
    server: ScriptedServer, judge: ScriptedServer | None = None, *, threshold: float = THRESHOLD, **settings: Any
) -> MessageModels:
    """The models behind one or two scripted servers."""
    there = {"writer": endpoint(server, **settings), "judge": endpoint(judge or server, **settings)}
    meter = Meter()
    routers = {name: open_endpoint(ModelSettings(endpoints=there), name, meter) for name in there}
    return MessageModels(
        Endpoint(routers["writer"], "writer", WRITE_TOKENS),
        Endpoint(routers["judge"], "judge", SCORE_TOKENS),
        threshold,
    )


def run(folder: Path, place: Path, models: MessageModels, **how: Any) -> RegenerationReport:
    """A run over a repository, with data and cache in a folder."""
    return regenerate([place], models, MiningRules(), folder / "data", folder / "cache", **how)
