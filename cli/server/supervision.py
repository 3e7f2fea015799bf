"""The supervisor that keeps the server's programs running: its configuration, its start, and what it says of them.

It is the package `supervisor`. It listens on a Unix socket in the private directory, restarts a program that ends, and
rotates logs. Its programs end with it, however it ends.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from cli.server.leftovers import MARK
from host.private import private_directory, private_file
from models.errors import InfrastructureError, UsageError

Program = Literal["postgres", "server", "worker", "sweeper"]
PROGRAMS: tuple[Program, ...] = ("postgres", "server", "worker", "sweeper")
"""In the order in which they start; they are stopped the other way round."""

_SIGNALS: dict[Program, str] = {"postgres": "INT", "server": "TERM", "worker": "TERM", "sweeper": "TERM"}
_SECONDS: dict[Program, int] = {"postgres": 60, "server": 30, "worker": 60, "sweeper": 10}
"""Seconds until a program that was told to stop is killed."""
_SERVERS: tuple[Program, ...] = ("postgres", "server")
_SOCKET, _PID, _LOGS = "supervisor.sock", "supervisord.pid", "logs"
_START_SECONDS = 15
_UP = ("RUNNING", "STARTING", "BACKOFF")


class ProgramState(NamedTuple):
    """What the supervisor says of a program: its state in its words, since when (seconds since 1970), a remark."""

    name: Program
    state: str
    pid: int
    since: int
    remark: str

    @property
    def up(self) -> bool:
        """Whether it runs or is being started."""
        return self.state in _UP


class Supervisor:
    """The supervisor of one data directory, whether it runs or not."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def logs(self) -> Path:
        """The directory with a log file for each program."""
        return self._directory / _LOGS

    def start(self, programs: Sequence[Program], environment: dict[str, str]) -> None:
        """Start the supervisor; it starts no program yet. Raises UsageError if it is not installed,
        InfrastructureError if it does not answer."""
        if find_spec("supervisor") is None:
            raise UsageError("the supervisor is not installed; install the extra: clean-room-agent[server]")
        private_directory(self.logs)
        configuration = self._directory / "supervisord.conf"
        private_file(configuration)
        configuration.write_text(_configuration(programs))
        private_file(self.logs / "start.log")
        with (self.logs / "start.log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(configuration)],
                env={**environment, MARK: str(self._directory)}, cwd=self._directory, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, umask=0o077, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while self.states() is None:
            if started.poll() or time.monotonic() > deadline:
                raise InfrastructureError(f"the supervisor did not start; see {self.logs}")
            time.sleep(0.1)

    def states(self) -> list[ProgramState] | None:
        """What each program does, in the order of starting; None if no supervisor answers."""
        try:
            found = {each["name"]: each for each in self._ask("getAllProcessInfo")}
        except OSError:
            return None
        return [
            ProgramState(name, each["statename"], each["pid"], each["start"], each["spawnerr"])
            for name in PROGRAMS
            if (each := found.get(name))
        ]

    def run(self, program: Program) -> bool:
        """Have a program run; returns whether it did not already. Raises InfrastructureError if it ends at once."""
        from xmlrpc.client import Fault

        if any(each.name == program and each.up for each in self.states() or []):
            return False
        try:
            self._ask("startProcess", program, False)
        except Fault as error:
            raise InfrastructureError(
                f"{program} does not start: {error.faultString}; {self.last_words(program)}"
            ) from error
        return True

    def stop(self, before_server: Callable[[], None]) -> list[Program]:
        """Stop all programs, last started first, then the supervisor; returns those that ran.

        `before_server` is called when worker and sweeper have ended and server and database still run.
        """
        states = self.states()
        if states is None:
            return []
        running = [each.name for each in states if each.up]
        for name in reversed(running):
            if name in _SERVERS:
                continue
            self._ask("stopProcess", name, True)
        before_server()
        for name in reversed(running):
            if name in _SERVERS:
                self._ask("stopProcess", name, True)
        pid = int((self._directory / _PID).read_text())
        self._ask("shutdown")
        deadline = time.monotonic() + _START_SECONDS
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return running

    def last_words(self, program: Program) -> str:
        """The last line of a program's log, and where the log is."""
        path = self.logs / f"{program}.log"
        try:
            lines = path.read_text(errors="replace")[-4000:].splitlines()
        except OSError:
            lines = []
        said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        return f"it said: {said} (log: {path})"

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Call the supervisor's API. Raises OSError if it does not answer."""
        from xmlrpc.client import ServerProxy

        from supervisor.xmlrpc import SupervisorTransport

        socket = self._directory / _SOCKET
        if not socket.exists():
            raise FileNotFoundError(socket)
        transport = SupervisorTransport(None, None, f"unix://{socket}")
        try:
            return getattr(ServerProxy("http://127.0.0.1", transport=cast(Any, transport)).supervisor, method)(
                *arguments
            )
        finally:
            transport.close()


def _configuration(programs: Sequence[Program]) -> str:
    """The supervisor's configuration; paths are relative to its directory, passwords are in none of it."""
    user = "user=root\n" if os.geteuid() == 0 else ""  # it warns of root otherwise
    text = (
        "[unix_http_server]\n"
        f"file=%(here)s/{_SOCKET}\nchmod=0700\n\n"
        "[supervisord]\n"
        f"logfile=%(here)s/{_LOGS}/supervisord.log\nlogfile_maxbytes=5MB\nlogfile_backups=2\n"
        f"pidfile=%(here)s/{_PID}\nchildlogdir=%(here)s/{_LOGS}\numask=077\nidentifier=clean-room\n{user}\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
    )
    python = shlex.quote(sys.executable).replace("%", "%%")
    for program in programs:
        text += (
            f"\n[program:{program}]\ncommand={python} -P -m cli.server.programs {program}\n"
            "autostart=false\nautorestart=true\nstartsecs=2\nstartretries=1000\n"
            f"stopsignal={_SIGNALS[program]}\nstopwaitsecs={_SECONDS[program]}\n"
            f"stopasgroup={'true' if program == 'worker' else 'false'}\nkillasgroup=true\n"
            f"redirect_stderr=true\nstdout_logfile=%(here)s/{_LOGS}/{program}.log\n"
            "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=3\n"
        )
    return text


def terminate_with_supervisor(program: Program) -> None:
    """Have the kernel stop this process, one of the supervisor's programs, when the supervisor ends."""
    from host.postgres import end_with_parent

    end_with_parent(signal.Signals[f"SIG{_SIGNALS[program]}"])
