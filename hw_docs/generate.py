"""Puts the generated tables into the pages of hw_docs (python -m hw_docs.generate [--check]).

A page marks where a table goes: `<!-- generated: NAME -->` ... `<!-- end -->`. What is between them
is replaced; `--check` changes nothing and says which page is not current (exit 1).
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from controller import interlock_test
from controller.board import Side, load
from controller.cp import limits
from hw_docs import budget
from hw_docs.parts import Part, circuits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
ADC_ERROR_V = 0.03
"""Converter, at CP: 3 mV (12 bit, 3.3 V, +-2 steps and gain) times the slope."""


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


# --- pins -----------------------------------------------------------------------------------------


def pins(side: Side) -> str:
    """Return the pins of one role, by GPIO."""
    rows = [
        (
            f"GPIO {pin.gpio}",
            HEADER[pin.gpio],
            f"`{name}`",
            pin.direction,
            pin.active,
            pin.pull,
            pin.meaning,
        )
        for name, pin in sorted(side.pins.items(), key=lambda item: item[1].gpio)
    ]
    return table(("GPIO", "header", "name", "direction", "active", "pull", "meaning"), rows)


# fmt: off
HEADER = (27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33,  # GPIO 0 to 13
          8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13)  # GPIO 14 to 27
# fmt: on
"""GPIO (BCM) -> pin of the 40-pin header."""


def channels(side: Side) -> str:
    """Return the ADC channels of one role."""
    rows = [
        (c.channel, f"`{name}`", f"{c.slope:g}", f"{c.offset_v:g} V", c.meaning)
        for name, c in sorted(side.channels.items(), key=lambda item: item[1].channel)
    ]
    return table(("channel", "name", "slope", "offset", "meaning"), rows)


# --- parts ----------------------------------------------------------------------------------------


def parts(circuit: str) -> str:
    """Return a circuit's parts list."""
    rows = [
        (part.name, part.text, _tolerance(part), part.type if part.value else "", part.meaning)
        for part in circuits()[circuit].parts.values()
    ]
    return table(("part", "value", "tolerance", "kind", "what for"), rows)


def _tolerance(part: Part) -> str:
    return f"±{part.tolerance * 100:g} %" if part.value is not None and part.tolerance else ""


def over_voltage_sites() -> str:
    """Return the lower divider resistor for each trip voltage."""
    rows = []
    for name, part in circuits()["over_voltage_sites"].parts.items():
        low, nominal, high = budget.over_voltage_trip_v(name)
        trips = [f"{volts:.0f} V" for volts in (low, nominal, high)]
        rows.append((part.meaning, f"{name.partition('_')[2]} V", part.text, *trips))
    head = ("site", "table 103", "R51", "trips at least at", "nominal", "at the latest at")
    return table(head, rows)


# --- interlock ------------------------------------------------------------------------------------


def _ms(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1.0 else f"{seconds * 1e3:.3g} ms"


def timing_budget() -> str:
    """Return the worst case of each reaction."""
    rows = []
    for b in budget.budgets():
        how = " + ".join(f"{name} {_ms(seconds)}" for name, seconds in b.parts)
        limit = "-" if b.limit_s is None else _ms(b.limit_s)
        margin = "-" if b.limit_s is None else _ms(b.limit_s - b.total_s)
        rows.append((b.what, how, f"**{_ms(b.total_s)}**", limit, margin))
    return table(("reaction", "worst case", "sum", "limit", "margin"), rows)


def watchdog_times() -> str:
    """Return how the watchdog behaves at each period."""
    rows = [
        (
            f"{row['period_ms']:g} ms",
            f"edge {row['closes_edge_min']} to {row['closes_edge_max']}",
            f"{row['opens_ms']:.1f} ms",
            f"{row['opens_min_ms']:.1f} to {row['opens_max_ms']:.1f} ms",
            f"{row['opens_min_ms'] - row['period_ms']:.1f} ms",
            "yes" if row["steady"] else "NO",
        )
        for row in budget.simulated()["watchdog"]
    ]
    head = (
        "an edge every",
        "closes by",
        "opens after",
        "over tolerances",
        "may be late by",
        "steady",
    )
    return table(head, rows)


LOSSES = {
    "unplug": "plug pulled, or CP broken",
    "s2opens": "vehicle opens S2 (B)",
    "shorted": "CP short to PE (E)",
    "stuckhigh": "oscillator stuck at +12 V (X1)",
    "stucklow": "oscillator stuck at -12 V (F)",
}


def cp_loss_times() -> str:
    """Return how fast each loss of the pilot is seen."""
    rows = [
        (
            LOSSES[row["loss"]],
            f"{row['off_min_ms']:.1f} to {row['off_max_ms']:.1f} ms",
            "yes" if row["rides_out"] else "NO",
            "yes" if row["stays_off"] else "NO",
        )
        for row in budget.simulated()["cp_loss"]
    ]
    found = budget.simulated()["cp_loss"]
    on = f"{min(r['on_min_ms'] for r in found):.1f} to {max(r['on_max_ms'] for r in found):.1f} ms"
    head = ("loss", "supply off after", "steady before, at 5 %", "stays off")
    return table(head, rows) + f"\nIn C2 the supply comes after {on}.\n"


def software() -> str:
    """Return the software's own times."""
    rows = [
        (what, _ms(seconds), f"`{where}`") for what, seconds, where in budget.software_figures()
    ]
    return table(("software", "time", "where"), rows)


def self_test_times() -> str:
    """Return the self-test's time-outs."""
    t = interlock_test
    rows = [
        ("at rest for", _ms(t.REST_S), "else failed after " + _ms(t.REST_TIMEOUT_S)),
        ("chain closes within", _ms(t.CLOSE_TIMEOUT_S), "of the first toggle"),
        ("coils without supply for", _ms(t.HOLD_S), "with the chain closed"),
        ("chain opens within", _ms(t.WATCHDOG_OPENS_S), f"and {_ms(t.SAMPLING_S)} for sampling"),
        ("stop channels agree within", _ms(t.CHANNELS_AGREE_S), ""),
        ("inputs come within", _ms(t.NO_INPUTS_S), ""),
    ]
    tries = f"A chain that opens by itself: {t.TRIES} tries."
    tries += f" A period that came late: {t.LATE_TRIES} tries."
    return table(("what", "time", ""), rows) + f"\n{tries}\n"


def self_test_states() -> str:
    """Return the self-test's table as a picture; rows that hold in every step share an arrow."""
    lines = ["stateDiagram-v2", "    [*] --> WAITING", '    state "any step" as ANY']
    for r in interlock_test.TABLE:
        dest = r["dest"]
        assert isinstance(dest, Enum)
        guard = f" [{', '.join(r['conditions'])}]" if r["conditions"] else ""
        source = r["source"][0].name if len(r["source"]) == 1 else "ANY"
        lines.append(f"    {source} --> {dest.name}: {r['trigger']}{guard}")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


# --- pilot front end ------------------------------------------------------------------------------

WINDOWS = {
    "A": limits.LEVEL_A_V,
    "B": limits.LEVEL_B_V,
    "C": limits.LEVEL_C_V,
    "D": limits.LEVEL_D_V,
    "E": limits.LEVEL_E_V,
    "F": limits.LEVEL_F_V,
}


def margin_v(low: float, high: float, window: tuple[float, float]) -> float:
    """Return the distance to the nearer boundary; negative when it is crossed."""
    return round(min(low - window[0], window[1] - high) - ADC_ERROR_V, 3)


def levels() -> str:
    """Return what the software reads in each state, and the margin to the window."""
    rows = []
    for row in budget.simulated()["levels"]:
        state, duty = row["state"], row["duty"]
        low, high = WINDOWS[state]
        margin = margin_v(row["high_min_v"], row["high_max_v"], (low, high))
        rows.append(
            (
                state,
                f"{duty:.0%}",
                f"{row['adc_high_v']:.3f} V",
                f"{row['high_v']:.2f} V",
                f"{row['high_min_v']:.2f} to {row['high_max_v']:.2f} V",
                f"{low:g} to {high:g} V",
                _margin(margin),
            )
        )
    head = ("state", "duty", "at the ADC", "read", "over tolerances", "window", "margin")
    return table(head, rows)


def _margin(volts: float) -> str:
    return f"{volts:.2f} V" if volts >= 0 else f"**NEGATIVE: {volts:.2f} V**"


def negative_peaks() -> str:
    """Return what the software reads of the low phase behind a good diode."""
    low, high = limits.NEGATIVE_PEAK_V
    rows = [
        (
            row["state"],
            f"{row['duty']:.0%}",
            f"{row['adc_low_v']:.3f} V",
            f"{row['low_v']:.2f} V",
            f"{row['low_min_v']:.2f} to {row['low_max_v']:.2f} V",
            _margin(margin_v(row["low_min_v"], row["low_max_v"], (low, high))),
        )
        for row in budget.simulated()["levels"]
        if row["state"] in "ABCD" and row["duty"] < 1.0
    ]
    head = (
        "state",
        "duty",
        "at the ADC",
        "read",
        "over tolerances",
        f"margin to {low:g}..{high:g} V",
    )
    return table(head, rows)


def edges() -> str:
    """Return rise and fall times beside their limits."""
    rows = []
    for row in budget.simulated()["edges"]:
        cells: list[object] = [row["state"], row["cable"], f"{row['total_pf']} pF"]
        for which in ("rise", "fall"):
            limit = row[f"{which}_limit_us"]
            late = limit is not None and row[f"{which}_us"] > limit
            cells.append(f"{row[f'{which}_us']:.1f} µs" + (" **TOO LONG**" if late else ""))
            cells.append("-" if limit is None else f"{limit:g} µs")
        rows.append(cells)
    return table(("state", "cable", "all capacitance", "rise", "limit", "fall", "limit"), rows)


# --- pages ----------------------------------------------------------------------------------------


def blocks() -> dict[str, Callable[[], str]]:
    """Return every table by its name in the pages."""
    board = load()
    found: dict[str, Callable[[], str]] = {
        "evse-pins": partial(pins, board.evse),
        "evse-channels": partial(channels, board.evse),
        "pev-pins": partial(pins, board.pev),
        "pev-channels": partial(channels, board.pev),
        "over-voltage-sites": over_voltage_sites,
        "timing-budget": timing_budget,
        "watchdog-times": watchdog_times,
        "cp-loss-times": cp_loss_times,
        "software": software,
        "self-test-times": self_test_times,
        "self-test-states": self_test_states,
        "levels": levels,
        "negative-peaks": negative_peaks,
        "edges": edges,
    }
    return found | {f"parts-{name}": partial(parts, name) for name in circuits()}


def pages() -> list[Path]:
    """Return the pages."""
    return sorted(HERE.glob("*.md"))


def filled(text: str) -> str:
    """Return a page with every block as it has to be. Raises KeyError for an unknown block."""
    known = blocks()
    return BLOCK.sub(lambda m: f"{m[1]}{known[m[2]]()}{m[4]}", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or check them."""
    check = "--check" in (sys.argv[1:] if argv is None else argv)
    stale = []
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            stale.append(page.name)
            if not check:
                page.write_text(new, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{name}: {'not current (make hw-docs)' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
