"""The schematics: rendered, current, the same every time, with the values of parts.toml."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from hw_docs.parts import circuits, everything
from hw_docs.schematics import render

schemdraw = pytest.importorskip("schemdraw", reason="schemdraw is not installed")
SHOWN = {
    "chain": "chain",
    "watchdog": "watchdog",
    "cp_loss": "cp_loss",
    "cp_frontend": "cp_frontend",
    "over_voltage": "over_voltage",
}
"""Schematic -> its circuit in parts.toml."""
NOT_DRAWN = {"R40", "R42", "C1"}
"""Gates to their sources are told in words; C1 is D1's own capacitance."""
NAME_ONLY = {"R30", "R31"}
"""Drawn as a named voltage."""


def committed(name: str) -> str:
    return (render.HERE / f"{name}.svg").read_text(encoding="utf-8")


def texts(svg: str) -> str:
    """Return everything that is written in a drawing."""
    root = ET.fromstring(svg.partition("<!--")[0])
    return "\n".join(" ".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))


@pytest.mark.parametrize("name", render.NAMES)
def test_it_is_current(name: str) -> None:
    made_by = re.search(r"<!-- schemdraw (\S+) -->", committed(name))
    assert made_by is not None
    if made_by[1] != schemdraw.__version__:
        pytest.skip(f"rendered by schemdraw {made_by[1]}, installed is {schemdraw.__version__}")
    assert render.render(name) == committed(name), "make hw-docs writes it"


@pytest.mark.parametrize("name", render.NAMES)
def test_it_is_the_same_every_time(name: str) -> None:
    assert render.render(name) == render.render(name)


@pytest.mark.parametrize("name", render.NAMES)
def test_it_shows_each_part_of_its_circuit_with_its_value(name: str) -> None:
    written = " ".join(texts(committed(name)).split())
    if name == "chain":  # resistors of the gates are drawn with their drivers
        written += " ".join((texts(committed("watchdog")) + texts(committed("cp_loss"))).split())
    for part in circuits()[SHOWN[name]].parts.values():
        if part.name in NOT_DRAWN:
            continue
        assert part.name in written, part.name
        if part.value is not None and part.name not in NAME_ONLY:
            assert f"{part.name} {part.text}" in written, part.name


def test_every_value_that_is_drawn_is_known() -> None:
    for name in render.NAMES:
        written = " ".join(texts(committed(name)).split())
        for label, number in re.findall(r"\b([RC]\d+) (\d[\d.]* [kMnpµ]?[ΩF])", written):
            assert everything()[label].text == number


def test_without_schemdraw_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> str:
        raise ImportError

    monkeypatch.setattr(render, "stamp", missing)
    assert render.main() == 2
    assert "pip install schemdraw" in capsys.readouterr().err
