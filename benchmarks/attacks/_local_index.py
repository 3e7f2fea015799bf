"""A package index on this machine: wheels of our own making, each with the moment of its upload (PEP 691, 700)."""

import base64
import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.utils import canonicalize_name

_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class Release:
    """A pure-Python wheel of an index. `uploaded` is a day (ISO), at whose noon (UTC) it was; `files` are texts by
    path."""

    name: str
    version: str = "1.0"
    uploaded: str = "2020-01-01"
    requires: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        """The wheel's name."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


def write_wheel(folder: Path, release: Release) -> Path:
    """Write a release's wheel; without files of its own it holds one module of its name."""
    name = release.name.replace("-", "_")
    info = f"{name}-{release.version}.dist-info"
    headers = f"Metadata-Version: 2.1\nName: {release.name}\nVersion: {release.version}\n"
    files = {
        **(release.files or {f"{name}.py": f"VERSION = {release.version!r}\n"}),
        f"{info}/METADATA": headers + "".join(f"Requires-Dist: {each}\n" for each in release.requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_record(text)},{len(text.encode())}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / release.filename, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return folder / release.filename


def _record(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@contextmanager
def local_index(folder: Path, releases: Sequence[Release]) -> Iterator[Path]:
    """Serve releases, and a pytest that does nothing, as the only index there is; the folder of their wheels."""
    folder.mkdir(parents=True)
    served = [Release("pytest", "8.0.0", "2020-01-01"), *releases]
    pages: dict[str, list[dict[str, object]]] = {}
    for release in served:
        wheel = write_wheel(folder, release)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with zipfile.ZipFile(wheel) as archive:
            metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA")))
        (folder / f"{release.filename}.metadata").write_bytes(metadata)
        pages.setdefault(canonicalize_name(release.name), []).append(
            {
                "filename": release.filename,
                "url": f"/files/{release.filename}",
                "hashes": {"sha256": digest},
                "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()},
                "upload-time": f"{release.uploaded}T12:00:00.000000Z",
            }
        )

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, name = self.path.strip("/").split("/")[:2]
            if kind == "simple" and name in pages:
                body = {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": pages[name]}
                self._answer(json.dumps(body).encode(), _JSON)
            elif kind == "files" and (folder / name).is_file():
                self._answer((folder / name).read_bytes(), "application/octet-stream")
            else:
                self.send_error(404)

        def _answer(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/simple/"
    before = {name: os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")}
    try:
        os.environ.update({"UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url})
        os.environ.pop("UV_INDEX", None)
        os.environ.pop("UV_INDEX_URL", None)
        yield folder
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        server.shutdown()
        server.server_close()
        thread.join()
