"""`ccs-pilot pib`: what it prints, what it writes, its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from controller.main import main
from controller.plc import pib
from controller.plc.wire import nid_from_nmk

if TYPE_CHECKING:
    from pathlib import Path

NMK = bytes(range(16))
IMAGE = pib.new_image(bytes.fromhex("00b052aa0001"), b"d" * 16, nid_from_nmk(NMK), NMK, 2)


@pytest.fixture(params=["flat", "chain"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "modem.pib"
    path.write_bytes(IMAGE if request.param == "flat" else pib.to_chain(IMAGE, manifest=b"m" * 8))
    return path


def run(*words: object) -> int:
    return main(["pib", *map(str, words)])


def test_show_names_every_field(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", file) == 0
    text = capsys.readouterr().out
    assert "0x000c  mac              00:b0:52:aa:00:01" in text
    assert "0x1653  slac             2" in text
    assert run("show", file, "slac", "0x0c", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"slac": "2", "0x000c": "00"}


def test_set_by_role_then_diff(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pib"
    assert run("set", file, "--role", "pev", "--to", other) == 0
    capsys.readouterr()
    assert run("diff", file, other) == 1
    changed = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    sums = ["checksum"] if file.read_bytes()[:4] != pib.CHAIN_MAGIC else []
    expected = [*sums, "user", "cco", "slac", "low-link-speed", "high-link-speed"]
    assert changed == expected
    assert run("diff", file, file) == 0
    assert run("check", other) == 0


def test_set_of_a_key_writes_the_identifier_too(file: Path) -> None:
    assert run("set", file, "nmk=" + "77" * 16) == 0
    image = pib.from_chain(file.read_bytes())
    assert pib.read(image, pib.NID) == nid_from_nmk(b"\x77" * 16)
    assert run("check", file) == 0
    assert run("set", file, "nid=00000000000000") == 0
    assert run("check", file) == 1


def test_check_finds_and_repairs_sums(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(file.read_bytes())
    data[-7] ^= 1
    file.write_bytes(data)
    assert run("check", file) == 1
    assert run("check", file, "--json") == 1
    assert not json.loads(capsys.readouterr().out.partition("\n")[2])[0]["ok"]
    assert run("check", "--repair", file) == 0
    assert run("check", file) == 0


def test_diff_shows_bytes_without_a_field(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pib"
    assert run("set", file, "0x2ff0=0102", "--to", other) == 0
    capsys.readouterr()
    assert run("diff", file, other, "--json") == 1
    rows = [row for row in json.loads(capsys.readouterr().out) if row["field"] == "-"]
    assert [(r["offset"], r["first"], r["second"]) for r in rows] == [(0x2FF0, "0000", "0102")]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "nosuch.pib"], "cannot be read"),
        (["show", "FILE", "nosuch"], "no such field"),
        (["show", "FILE", "0x9000"], "the image ends at 0x3000"),
        (["set", "FILE"], "nothing to set"),
        (["set", "FILE", "slac=300"], "a number from 0 to 255"),
        (["set", "FILE", "0x9000=01"], "the image ends before"),
        (["set", "FILE", "slac=1", "--to", "/nosuch/x.pib"], "cannot be written"),
        (["show", "EMPTY"], "no sound parameter file"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    words: list[str], text: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    empty = file.with_name("empty.pib")
    empty.write_bytes(b"")
    assert run(*(str({"FILE": file, "EMPTY": empty}.get(w, w)) for w in words)) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert file.read_bytes() == before
