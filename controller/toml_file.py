"""Files that people write for the program, as TOML: read within bounds, refused in one line."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from controller.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 20
"""Own figure, bytes: far above any such file; a device that never ends is none."""


def read(path: Path) -> str:
    """Return a file's text, without a byte order mark. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    if len(data) > LARGEST:
        raise ConfigError(f"{path}: cannot be read: longer than {LARGEST} bytes")
    return text.replace("\r\n", "\n")


def parse(source: str, name: str) -> dict[str, Any]:
    """Return what TOML text says; `name` is the file named in errors. Raises ConfigError."""
    try:
        return tomllib.loads(source)
    except ValueError as error:  # TOMLDecodeError, and a number of thousands of digits
        raise ConfigError(f"{name}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: not valid TOML: nested too deeply") from error
