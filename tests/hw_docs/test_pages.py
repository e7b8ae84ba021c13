"""The pages of hw_docs: every table is current, every value is the one in parts.toml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hw_docs import generate
from hw_docs.parts import Part, circuits, everything, quantity, read_quantity

if TYPE_CHECKING:
    from pathlib import Path

PAGES = generate.pages()
QUANTITY = r"-?\d+(?:\.\d+)? ?[kMmµnp]?(?:Ω|F)\b|-?\d+(?:\.\d+)? ?[kMm]?Ω"
STANDARD = {"300 to 3100 pF", "2400 pF", "120 Ω", "10 to 40 Ω"}
"""What the text says of cables, vehicles and assumptions, not of a part of ours."""


def words(page: Path) -> str:
    """Return a page without its generated tables."""
    return generate.BLOCK.sub("", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_is_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text) == text, "make hw-docs writes it"


def test_check_names_what_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "x.md"
    page.write_text("a\n<!-- generated: software -->\nold\n<!-- end -->\nb\n", encoding="utf-8")
    monkeypatch.setattr(generate, "HERE", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "x.md" in capsys.readouterr().out
    assert "old" in page.read_text(encoding="utf-8")
    assert generate.main([]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("a\n<!-- generated: software -->\n| software |")
    assert text.endswith("<!-- end -->\nb\n")
    assert generate.main(["--check"]) == 0


def test_every_table_is_on_a_page_once() -> None:
    names = [m[2] for page in PAGES for m in generate.BLOCK.finditer(page.read_text("utf-8"))]
    assert sorted(names) == sorted(set(generate.blocks()) - {"parts-over_voltage_sites"})


def test_markers_are_complete() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- generated:") == text.count("<!-- end -->")
        assert text.count("<!-- generated:") == len(generate.BLOCK.findall(text)), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_value_in_the_text_is_that_of_the_part(page: Path) -> None:
    """A value stands behind its part's name: `R11 (215 kΩ)`; two parts may share one."""
    text = " ".join(words(page).split())
    for phrase in STANDARD:
        text = text.replace(phrase, "")
    for match in re.finditer(QUANTITY, text):
        before = text[max(0, match.start() - 60) : match.start()]
        names = re.findall(r"\b([RC]\d+)\b", before.rpartition(")")[2])
        assert names, f"{page.name}: {match[0]} of what? ... {before}"
        told = read_quantity(match[0])
        for name in names:
            part = everything()[name]
            assert part.value == pytest.approx(told[0]), f"{page.name}: {name} {match[0]}"
            assert part.unit == told[1]


def test_the_texts_name_parts_that_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"\b([RCUQKDJF]\d+)\b", words(page)):
            if name not in ("C2", "D2"):  # states of the pilot
                assert any(known.startswith(name) for known in everything()), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    heads = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in _heads(text)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in heads, target
        else:
            assert (page.parent / target).exists(), target


def _heads(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


# --- parts ----------------------------------------------------------------------------------------


def test_names_are_unique_and_every_part_has_a_value_or_a_type() -> None:
    names = [name for circuit in circuits().values() for name in circuit.parts]
    assert len(names) == len(set(names))
    for part in everything().values():
        assert part.meaning
        assert (part.value is not None) or part.type, part.name
        assert (part.value is None) == (part.unit == ""), part.name
        assert 0.0 <= part.tolerance < 0.5


@pytest.mark.parametrize("part", [p for p in everything().values() if p.value], ids=str)
def test_values_can_be_read_back(part: Part) -> None:
    assert part.value is not None
    number, unit = read_quantity(part.text)
    assert number == pytest.approx(part.value)
    assert unit == part.unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (976.0, "Ω", "976 Ω"),
        (57.6e3, "Ω", "57.6 kΩ"),
        (1e6, "Ω", "1 MΩ"),
        (22e-12, "F", "22 pF"),
        (1e-9, "F", "1 nF"),
        (100e-9, "F", "100 nF"),
        (-12.0, "V", "-12 V"),
        (0.7, "V", "0.7 V"),
    ],
)
def test_quantities_are_written_as_people_write_them(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="about"):
        read_quantity("about 5 kΩ")
