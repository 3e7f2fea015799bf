"""Parts of /proc that belong to the whole machine, and so are read-only or hidden in every sandbox.

A /proc of the sandbox's own shows its own processes only, but everything else in it is the host's: settings,
interrupts, buses, SysRq. Its files belong to the host's root, whatever the sandbox's user id is, and some are open to
all.
"""

import functools
import stat
from pathlib import Path

_PROC = Path("/proc")
_HIDDEN_FOLDERS = frozenset({"acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "scsi"})
_HIDDEN_FILES = frozenset(
    {"kcore", "key-users", "keys", "kmsg", "latency_stats", "sched_debug", "sysrq-trigger", "timer_list", "timer_stats"}
)


@functools.cache
def masked_paths() -> tuple[str, ...]:
    """Bubblewrap's options, to come after `--proc /proc`.

    Hidden folders are empty and hidden files cannot be opened; other folders, and world-writable files, are read-only;
    files that only show something are left.
    """
    options: list[str] = []
    for path in sorted(_PROC.iterdir()):
        if path.name.isdigit() or path.is_symlink():
            continue
        mode, target = path.stat().st_mode, str(path)
        if path.name in _HIDDEN_FOLDERS:
            options += ["--tmpfs", target, "--remount-ro", target]
        elif path.name in _HIDDEN_FILES:
            options += ["--ro-bind", "/dev/null", target]
        elif stat.S_ISDIR(mode) or mode & 0o222:
            options += ["--ro-bind", target, target]
    return tuple(options)
