"""A small system-call filter for what namespaces do not cover.

Kernel keyrings and virtual-machine sockets are shared with the host whatever the namespaces. Tracing could take over
bubblewrap's own process in the sandbox, which runs without this filter. The other calls are kernel interfaces with a
long record of vulnerabilities which hardly any test suite needs. Each fails with EPERM.
"""

import platform
import struct

from models.errors import SandboxUnavailable

_AF_VSOCK = 40
_EVERYWHERE = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438}
# machine -> (audit architecture, number of `socket`, numbers of the refused calls)
_MACHINES = {
    "x86_64": (
        0xC000003E,
        41,
        {"ptrace": 101, "kcmp": 312, "process_vm_readv": 310, "process_vm_writev": 311}
        | {"add_key": 248, "request_key": 249, "keyctl": 250}
        | {"perf_event_open": 298, "bpf": 321, "userfaultfd": 323},
    ),
    "aarch64": (
        0xC00000B7,
        198,
        {"ptrace": 117, "kcmp": 272, "process_vm_readv": 270, "process_vm_writev": 271}
        | {"add_key": 217, "request_key": 218, "keyctl": 219}
        | {"perf_event_open": 241, "bpf": 280, "userfaultfd": 282},
    ),
}
_SYSTEM_V = {"x86_64": (29, 64, 68), "aarch64": (194, 190, 186)}  # shmget, semget, msgget
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: ld [k], jeq, jge, ret
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
_OTHER_ABI = 0x40000000  # x32 calls on x86_64


def system_v() -> tuple[int, ...]:
    """The calls of this machine that create System V memory, semaphores and queues."""
    return _SYSTEM_V.get(platform.machine(), ())


def program(*, with_system_v: bool) -> bytes:
    """The filter as a BPF program for bubblewrap. Raises SandboxUnavailable on other kinds of machine.

    Without `with_system_v` no System V object can be created: only a control group counts those that no process holds.
    """
    machine = platform.machine()
    if machine not in _MACHINES:
        raise SandboxUnavailable(
            f"no system-call filter for {machine} machines, only for {', '.join(_MACHINES)}; "
            "--sandbox=none runs code you trust without isolation"
        )
    architecture, socket, refused = _MACHINES[machine]
    numbers = sorted([*_EVERYWHERE.values(), *refused.values(), *(() if with_system_v else system_v())])
    # Layout: checks, then allow, then refuse; a jump's distance is counted from the instruction after it.
    size = 7 + len(numbers) + 1
    allow, refuse = size - 1, size
    code: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, _ARCHITECTURE)]
    code.append((_EQUAL, 0, refuse - 2, architecture))
    code.append((_LOAD, 0, 0, _NUMBER))
    code.append((_AT_LEAST, refuse - 4, 0, _OTHER_ABI))
    for number in numbers:
        code.append((_EQUAL, refuse - len(code) - 1, 0, number))
    code.append((_EQUAL, 0, allow - len(code) - 1, socket))
    code.append((_LOAD, 0, 0, _FIRST_ARGUMENT))
    code.append((_EQUAL, 1, 0, _AF_VSOCK))
    code.append((_RETURN, 0, 0, _ALLOW))
    code.append((_RETURN, 0, 0, _REFUSE))
    assert len(code) == size + 1
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
