"""Ctrl-C ends a wait for a model at once."""

import contextlib
import signal
import subprocess
import sys

from tests.support.bad_server import ScriptedServer, Stall

CODE = """
import sys
from llm import ChatRequest, Message, open_router
from models.llm_settings import Endpoint, ModelSettings, Roles
from models.protocols import Stage

here = Endpoint(url=sys.argv[1], model="scripted", window=8000)
router = open_router(ModelSettings(endpoints={"here": here}, roles=Roles(reasoning="here", coding="here")), "student")
try:
    router.complete(Stage.CODE, ChatRequest(messages=(Message(role="user", content="hi"),), max_tokens=5))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_ends_the_wait() -> None:
    with ScriptedServer([Stall("half")]) as server:
        child = subprocess.Popen([sys.executable, "-c", CODE, server.url], stdout=subprocess.PIPE, text=True)
        while not server.requests:
            assert child.poll() is None
            signal.sigtimedwait([], 0.05)
        for _ in range(3):  # Python drops one that arrives while a destructor runs
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                printed, _ = child.communicate(timeout=20)
                break
    assert (child.returncode, printed) == (0, "interrupted\n")
