"""Why a machine refuses unprivileged namespaces, and the exact remedy."""

from pathlib import Path

_PROFILE = """\
abi <abi/4.0>,
include <tunables/global>
profile cra-bwrap {program} flags=(unconfined) {{
  userns,
}}"""
_OPEN = "or use --sandbox=none for code you trust"


def remedy(program: Path, root: Path = Path("/")) -> str:
    """What the user can do after bubblewrap at `program` failed, according to the files under `root`."""
    if _sysctl(root, "kernel/unprivileged_userns_clone") == "0":
        return f"run `sudo sysctl -w kernel.unprivileged_userns_clone=1` {_OPEN}"
    if _sysctl(root, "user/max_user_namespaces") == "0":
        return f"run `sudo sysctl -w user.max_user_namespaces=10000` {_OPEN}"
    container = _container(root)
    if container is None and _sysctl(root, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids user namespaces to programs without a profile. Write this to "
            f"/etc/apparmor.d/cra-bwrap and run `sudo apparmor_parser -r /etc/apparmor.d/cra-bwrap`:\n"
            f"{_PROFILE.format(program=program)}\n"
            f"(or run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, {_OPEN})"
        )
    if container:
        return (
            f"this runs inside {container}, which forbids namespaces: start it with "
            "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            f"--security-opt systempaths=unconfined` {_OPEN}"
        )
    if not (root / "proc/self/ns/user").exists():
        return f"this kernel has no user namespaces: boot one with CONFIG_USER_NS {_OPEN}"
    return f"see docs/sandbox.md, {_OPEN}"


def _sysctl(root: Path, name: str) -> str | None:
    path = root / "proc/sys" / name
    return path.read_text().strip() if path.exists() else None


def _container(root: Path) -> str | None:
    if (root / "run/.containerenv").exists():
        return "a Podman container"
    if (root / ".dockerenv").exists():
        return "a Docker container"
    return "a container" if (root / "run/systemd/container").exists() else None
