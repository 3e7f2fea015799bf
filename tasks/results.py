"""The engine's storage of results: keys as JSON, in files private to this user, never code.

The engine reads a result with the serializer named in its file, and a pickle, or a JSON decoder of the file's choice,
runs arbitrary code. So anything but a key in plain JSON counts as missing here, and this process reads no pickle of the
engine's.
"""

import json
from pathlib import Path
from typing import Any

from prefect._internal.compatibility.async_dispatch import async_dispatch
from prefect.filesystems import LocalFileSystem
from prefect.serializers import JSONSerializer, PickleSerializer

from host.private import private_directory, private_file, tighten
from models.errors import DatabaseError

_PLAIN = JSONSerializer().model_dump(mode="json")


def _refuse(self: PickleSerializer[Any], blob: bytes) -> Any:
    raise DatabaseError(f"a result of the engine is a pickle ({len(blob)} bytes), which can run code; delete its file")


PickleSerializer.loads = _refuse  # type: ignore[method-assign]  # the default for a file without a serializer's name


class KeyStorage(LocalFileSystem):
    """A folder of the engine's metadata of results, each a key as a JSON string in the folder `results`.

    Metadata of any other result raises ValueError, which the engine treats as a missing result.
    """

    _block_type_name = "Clean Room keys"
    results: str

    async def aread_path(self, path: str) -> bytes:
        """The metadata of a result."""
        return self._checked(await super().aread_path(path))

    @async_dispatch(aread_path)
    def read_path(self, path: str) -> bytes:  # type: ignore[override]  # as in the parent, which is untyped here
        """The metadata of a result."""
        return self._checked(self._resolve_path(path).read_bytes())

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write the metadata of a result written just before; both files become private to this user."""
        return self._write(path, content)

    @async_dispatch(awrite_path)
    def write_path(self, path: str, content: bytes) -> str:  # type: ignore[override]
        """Write the metadata of a result written just before; both files become private to this user."""
        return self._write(path, content)

    def _write(self, path: str, content: bytes) -> str:
        target = self._resolve_path(path)
        tighten(self._result(json.loads(content)))
        private_file(target)
        target.write_bytes(content)
        return str(target)

    def _checked(self, content: bytes) -> bytes:
        noted = json.loads(content)
        if not isinstance(noted, dict) or noted.get("serializer") != _PLAIN:
            raise ValueError(f"a result noted in {self.basepath} is not plain JSON; delete that folder")
        if not isinstance(json.loads(self._result(noted).read_bytes()), str):
            raise ValueError(f"a result in {self.results} is no key; delete that folder")
        return content

    def _result(self, noted: dict[str, Any]) -> Path:
        """The file of a result; raises ValueError for a name outside the folder."""
        return LocalFileSystem(basepath=self.results)._resolve_path(str(noted["storage_key"]))


def key_storage(folder: Path) -> tuple[KeyStorage, Path]:
    """Storage of the metadata and the folder of the keys, below `folder`."""
    for each in (folder, folder / "results", folder / "keys"):
        private_directory(each)
    return KeyStorage(basepath=str(folder / "keys"), results=str(folder / "results")), folder / "results"
