"""The settings in force on this machine: `cra.toml` in the working directory, overridden by `CRA_*` variables."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError as SourceError

from host.offline import shut_off
from host.private import tighten
from models.errors import SettingsError
from models.settings import CONFIG_FILE, Settings

_SHOWN = 200
"""Characters of a name or value in a message."""


def load_settings() -> Settings:
    """The settings in force here; in air-gapped mode the variables of this process are set accordingly.

    Raises SettingsError naming the first bad value and where to correct it.
    """
    for name in sorted(os.environ):
        field = name.removeprefix("CRA_").split("__")[0].lower()
        if name.startswith("CRA_") and field not in Settings.model_fields:
            raise SettingsError(f"unknown setting {name} in the environment; `cra config show` lists all")
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(_first_fault(error)) from None  # the chain would print the value, which may be a key
    except (SourceError, ValueError, RecursionError) as error:  # unparsable TOML is a ValueError
        raise SettingsError(
            f"settings cannot be read: {_one_line(str(error))}; fix {CONFIG_FILE} or the CRA_* variables"
        ) from error
    for field in _OURS:
        if "\0" in str(getattr(settings, field)):
            raise SettingsError(
                f"setting {field} holds a NUL character; fix it in {CONFIG_FILE} or CRA_{field.upper()}"
            )
    _close_to_others(settings)
    if settings.air_gapped:
        shut_off()
    return settings


_OURS = {
    "data_dir": (
        "adapters",
        "adapters-gguf",
        "bases",
        "datasets",
        "engine",
        "evaluations",
        "keys",
        "sessions",
        "trainings",
    ),
    "cache_dir": ("clones", "engine", "gguf", "index", "ollama", "serving", "solving"),
}
"""Directories created there, except those that sandboxed code must read."""


def _close_to_others(settings: Settings) -> None:
    """Make private what an earlier version left readable by others. A directory that the user named may be the user's
    own, so only what was created in it is changed."""
    for field, names in _OURS.items():
        root = getattr(settings, field)
        if root == Settings.model_fields[field].get_default(call_default_factory=True):
            tighten(root)
        for name in names:
            tighten(root / name)


def _one_line(text: str) -> str:
    """A text of the user's in a message: the beginning of a long one, line ends as escapes."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    where = _one_line(".".join(str(part) for part in first["loc"] if part != "[key]"))
    if first["type"] == "extra_forbidden":
        return f"unknown setting {where} in {CONFIG_FILE}; `cra config show` lists all"
    value = first["input"]
    secret = "key" in where or "@" in str(value)
    shown = "" if secret or isinstance(value, dict | BaseModel) else f" = {_one_line(repr(value))}"
    variable = f"CRA_{where.upper().replace('.', '__')}"
    return (
        f"setting {where}{shown}: {first['msg'].removeprefix('Value error, ')}; fix it in {CONFIG_FILE} or {variable}"
    )


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), (*path, name))
    elif isinstance(value, dict) and value:
        for name in sorted(value):
            yield from _leaves(value[name], (*path, str(name)))
    else:
        yield path, value


def _holds(data: dict[str, Any], path: tuple[str, ...]) -> bool:
    current: Any = data
    for part in path:
        if not isinstance(current, dict) or part not in current:
            return False
        current = current[part]
    return True


def settings_with_sources(settings: Settings) -> list[tuple[str, Any, str]]:
    """Every setting as (dotted name, value, where it comes from: environment variable, cra.toml, default)."""
    environment = EnvSettingsSource(Settings)()
    file = TomlConfigSettingsSource(Settings)()
    rows = []
    for path, value in _leaves(settings):
        if _holds(environment, path):
            source = "CRA_" + "__".join(path).upper()
        elif _holds(file, path):
            source = str(Path(CONFIG_FILE).resolve())
        else:
            source = "default"
        rows.append((".".join(path), value, source))
    return rows
