"""Why a machine refuses unprivileged namespaces, and the exact remedy."""

from pathlib import Path

_PROFILE = """\
abi <abi/4.0>,
include <tunables/global>
profile cra-bwrap {program} flags=(unconfined) {{
  userns,
}}"""
_OPEN = "or say --sandbox=none for code you trust"


def remedy(program: Path, said: str) -> str:
    """What the user can do after bubblewrap at `program` failed with the message `said`."""
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return f"run `sudo sysctl -w kernel.unprivileged_userns_clone=1` {_OPEN}"
    if _sysctl("user/max_user_namespaces") == "0":
        return f"run `sudo sysctl -w user.max_user_namespaces=10000` {_OPEN}"
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" and not said.startswith(
        "bwrap: Can't mount"
    ):
        return (
            "AppArmor forbids user namespaces to programs without a profile. Write this to "
            f"/etc/apparmor.d/cra-bwrap and run `sudo apparmor_parser -r /etc/apparmor.d/cra-bwrap`:\n"
            f"{_PROFILE.format(program=program)}\n"
            f"(or run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, {_OPEN})"
        )
    if container := _container():
        return (
            f"this runs inside {container}, which forbids namespaces: start it with "
            "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            f"--security-opt systempaths=unconfined` {_OPEN}"
        )
    return f"unprivileged user namespaces do not work here: enable CONFIG_USER_NS in the kernel {_OPEN}"


def _sysctl(name: str) -> str | None:
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else None


def _container() -> str | None:
    if Path("/run/.containerenv").exists():
        return "a Podman container"
    if Path("/.dockerenv").exists():
        return "a Docker container"
    return "a container" if Path("/run/systemd/container").exists() else None
