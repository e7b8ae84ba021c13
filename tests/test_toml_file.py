"""The files that people write: what is read, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller import board, config, toml_file
from controller.cp import calibration
from controller.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

ENDLESS = Path("/dev/zero")
LOADERS: list[Callable[[Path], object]] = [
    toml_file.read,
    board.load,
    lambda path: config.load(config.ChargerConfig, path),
    lambda path: calibration.load(path, "ads1115"),
]


@pytest.mark.parametrize("load", LOADERS, ids=["text", "board", "config", "calibration"])
def test_a_file_without_end_is_refused(load: Callable[[Path], object]) -> None:
    if not ENDLESS.exists():
        pytest.skip(f"no {ENDLESS} here")
    with pytest.raises(ConfigError, match=r"^/dev/zero: cannot be read: longer than 1048576 bytes"):
        load(ENDLESS)


def test_the_longest_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("#" * toml_file.LARGEST)
    assert len(toml_file.read(path)) == toml_file.LARGEST
    path.write_text("#" * (toml_file.LARGEST + 1))
    with pytest.raises(ConfigError, match="longer than"):
        toml_file.read(path)


@pytest.mark.parametrize("written", [b"\xef\xbb\xbfa = 1\n", b"a = 1\r\n", b"a = 1"])
def test_editors_of_other_systems(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(written)
    assert toml_file.parse(toml_file.read(path), "a.toml") == {"a": 1}


@pytest.mark.parametrize("source", ["a =", "a = " + "[" * 10_000, "a = " + "9" * 5000])
def test_text_that_is_not_toml(source: str) -> None:
    with pytest.raises(ConfigError, match=r"^a.toml: not valid TOML: "):
        toml_file.parse(source, "a.toml")
