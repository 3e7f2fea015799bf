"""A server as a child process: started, awaited, restarted when it exits by itself, stopped with its descendants.

Its output goes to a log file. It dies with this process, even if that is killed.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from host.private import make_directory, private_file
from llm.serving.commands import ServerLaunch
from llm.serving.http import ask
from models.errors import ServingError

_POLL = 0.25
_REPORT = 5.0
_STOP = 20.0
_LONGEST_PAUSE = 60.0
_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ServerProcess:
    """One server. Not thread-safe.

    `startup`: seconds within which it must answer. `restarts`: how often it is restarted; the pause before each doubles
    from `pause` seconds. `report` is called with one line about each wait.
    """

    def __init__(
        self,
        launch: ServerLaunch,
        log: Path,
        *,
        startup: float = 900.0,
        restarts: int = 5,
        pause: float = 1.0,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.launch, self.log = launch, log
        self._startup, self._left, self._pause, self._report = startup, restarts, pause, report
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it answers; returns the seconds. Raises ServingError, with the end of its log, if it
        exits or does not answer in time, or the port is taken."""
        began = time.monotonic()
        self._refuse_taken_port()
        self._spawn()
        reported = began
        while not self._answers():
            now = time.monotonic()
            if self._process is None or self._process.poll() is not None:
                code = None if self._process is None else self._process.returncode
                self.stop()
                raise ServingError(f"{self._name} ended with {code} before it answered: {self._last()}; see {self.log}")
            if now - began > self._startup:
                self.stop()
                raise ServingError(
                    f"{self._name} did not answer on {self.launch.place.root} within {self._startup:g} s: "
                    f"{self._last()}; see {self.log}, or raise serving.startup"
                )
            if now - reported >= _REPORT:
                reported = now
                self._report(f"{now - began:.0f} s: {self._last()}")
            time.sleep(_POLL)
        return time.monotonic() - began

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def ensure(self) -> bool:
        """Restart it if it exited by itself; returns whether it did. Raises ServingError when it has exited more often
        than allowed."""
        if self.running:
            return False
        while True:
            code = None if self._process is None else self._process.returncode
            if self._left <= 0:
                raise ServingError(f"{self._name} ended with {code} and is not restarted; see {self.log}")
            self._left -= 1
            self._report(f"{self._name} ended with {code}; it is restarted in {self._pause:g} s")
            self.stop()
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            try:
                self.start()
            except ServingError as error:
                self._report(str(error))
            else:
                return True

    def stop(self) -> None:
        """Stop it and its descendants: SIGTERM first, then SIGKILL."""
        process, self._process = self._process, None
        if process is None:
            return
        for number, patience in ((signal.SIGTERM, _STOP), (signal.SIGKILL, _STOP)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            if number == signal.SIGTERM:  # remaining descendants hold memory of the accelerator
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            return

    @property
    def _name(self) -> str:
        words = self.launch.argv
        return next((word for word in words if word.startswith(("vllm.", "llm."))), Path(words[0]).name)

    def _spawn(self) -> None:
        make_directory(self.log.parent)
        private_file(self.log)
        env = {**os.environ, **self.launch.env, **self.launch.secret}
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    list(self.launch.argv),
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
        except OSError as error:
            raise ServingError(f"{self.launch.argv[0]} cannot be started ({error.strerror}); install it") from error

    def _answers(self) -> bool:
        place = self.launch.place
        try:
            return ask(f"{place.root}{self.launch.health}", timeout=5.0).good and self.running
        except ServingError:
            return False

    def _refuse_taken_port(self) -> None:
        place = self.launch.place
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((place.host, place.port))
        except OSError as error:
            raise ServingError(
                f"port {place.port} of {place.host} is not free ({error.strerror}); stop what listens there, or --port"
            ) from error

    def _last(self) -> str:
        """The last line of the log that is not blank."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            return "no output yet"
        printed = [" ".join(line.split()) for line in lines if line.strip()]
        return printed[-1][:200] if printed else "no output yet"


def _die_with_parent() -> None:
    _libc.prctl(_PDEATHSIG, signal.SIGTERM)
