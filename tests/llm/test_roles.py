"""A server whose chat template refuses a system role, or two turns of one role, is asked with merged turns."""

from itertools import pairwise
from typing import Any

import pytest

from llm import ChatRequest, Message
from models.errors import ProviderError
from models.protocols import Stage
from tests.support.asking import router
from tests.support.bad_server import Behaviour, Fail, ScriptedServer

MESSAGES = (Message(role="system", content="Judge."), Message(role="user", content="X"))
ASKED = ChatRequest(messages=MESSAGES, max_tokens=50)


def refusing(failure: Fail) -> Any:
    def script(request: dict[str, Any]) -> Behaviour:
        roles = [message["role"] for message in request["messages"]]
        alike = any(first == second for first, second in pairwise(roles))
        return failure if alike or "system" in roles else "fine"

    return script


@pytest.mark.parametrize(
    "failure",
    [
        Fail(400, "System role not supported"),
        Fail(400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        Fail(400, "Only user and assistant roles are supported!"),
        Fail(500, "Jinja Exception: System role not supported"),
        Fail(422, "Unexpected role 'system' after role 'user'"),
    ],
)
def test_a_refused_system_role_is_merged_and_that_is_remembered(failure: Fail) -> None:
    with ScriptedServer(refusing(failure)) as server:
        asking = router(server)
        for _ in range(2):
            [said] = asking.complete(Stage.CODE, ASKED)
            assert said.text == "fine"
            assert server.requests[-1]["messages"] == [{"role": "user", "content": "Judge.\n\nX"}]
        assert len(server.requests) == 3


def test_a_server_that_takes_them_is_asked_with_the_roles_as_they_are() -> None:
    with ScriptedServer("fine") as server:
        router(server).complete(Stage.CODE, ASKED)
        assert [message["role"] for message in server.requests[-1]["messages"]] == ["system", "user"]


@pytest.mark.parametrize("status", [400, 500])
def test_a_template_that_refuses_everything_is_an_error_of_one_line_with_its_remedy(status: int) -> None:
    with (
        ScriptedServer(lambda _: Fail(status, "Jinja Exception:\n  roles must alternate")) as server,
        pytest.raises(ProviderError) as caught,
    ):
        router(server).complete(Stage.CODE, ASKED)
    assert "\n" not in str(caught.value)
    assert "chat template" in str(caught.value)
    assert len(server.requests) <= 4
