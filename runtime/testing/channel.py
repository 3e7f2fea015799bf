"""The outer end of the pipe on which a module in the sandbox reports: lines cannot be withdrawn, changed or forged.

Each line has a message authentication code (keyed BLAKE2b) over its number and its content. Only the module knows the
key, once its file is deleted. A line that does not verify has another sender.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
from typing import Any

_MOST = 64 * 1024 * 1024  # most bytes that are read; more is drained and dropped
_PATIENCE = 10.0  # seconds to wait for the end of the pipe, once the sandbox has ended


class Channel:
    """A pipe and its key. `descriptor` is the end to pass on; `finish` closes it and returns the received lines."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self._reading, self.descriptor = os.pipe()
        self._data = bytearray()
        self._thread = threading.Thread(target=self._drain, name="channel", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while chunk := os.read(self._reading, 1 << 16):
            self._data += chunk[: max(_MOST - len(self._data), 0)]
        os.close(self._reading)

    def finish(self) -> "Received":
        """Close our copy of the write end, wait for the end of the pipe, and verify the lines. Idempotent."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._thread.join(_PATIENCE)
        return verified(bytes(self._data), self.secret)


class Received:
    """Verified lines in order, and whether any line did not verify."""

    def __init__(self, lines: list[list[Any]], forged: bool) -> None:
        self.lines, self.forged = lines, forged


def verified(data: bytes, secret: bytes) -> Received:
    """Verify the lines of a channel. A last line without its end is that of a killed process."""
    lines: list[list[Any]] = []
    forged = False
    for raw in data.split(b"\n")[:-1]:
        mac, _, content = raw.partition(b" ")
        expected = hashlib.blake2b(b"%d %s" % (len(lines), content), key=secret, digest_size=16).hexdigest()
        if not hmac.compare_digest(mac, expected.encode()):
            forged = True
            continue
        lines.append(json.loads(content))
    return Received(lines, forged)
