"""Runs the circuits of hw_docs/spice with ngspice over states, duty cycles and tolerances.

`make spice` (python -m hw_docs.spice.run) writes results.json and puts the tables into the pages.
Seeded: the same program gives the same numbers. Without ngspice it says what to install, exit 2.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hw_docs.frontend import NO_OHM, OUTPUT_OHM, STATES, channel, load_of
from hw_docs.parts import circuits, everything, value

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
SEED = 61851
SAMPLES = 40
"""Random boards and vehicles for each state and duty cycle, besides the nominal one."""
SLOW_SAMPLES = 20
"""The same for the CP-loss part, whose runs are long."""
DUTIES = (0.05, 0.10, 0.50, 0.96, 1.0)
PERIOD_S = 1e-3
OFFSET_V, BIAS_A, LEAK_A = 1.6e-3, 50e-9, 5e-9
"""Op-amp offset (TLV9064), comparator bias (LM2903B), leakage of hold and gate: own limits, above
what the data sheets give."""
GATE_S = (14e-6, 23e-6)
"""R10 and C8 with the threshold's spread of U4 and U5."""
LOSSES = ("unplug", "s2opens", "shorted", "stuckhigh", "stucklow")
WATCHDOG_PERIODS_S = (1e-3, 5e-3, 10e-3)
MISSING = (
    "ngspice is not installed: `apt-get install ngspice` (Debian), then run this again; "
    "the pages hold the results of the last run"
)

Measures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """One run: parameters that differ from the netlist, and its control lines."""

    parameters: dict[str, float]
    control: str


# --- ngspice --------------------------------------------------------------------------------------


def find_ngspice() -> str | None:
    """Return the program, or None."""
    return shutil.which("ngspice")


def run(netlist: str, cases: list[Case]) -> list[Measures]:
    """Run all cases of one netlist in one process; measures by name. Raises RuntimeError."""
    body = (HERE / netlist).read_text(encoding="utf-8").partition(".control")[0]
    lines = [".control"]
    for number, case in enumerate(cases):
        lines += [f"alterparam {name}={setting:.9g}" for name, setting in case.parameters.items()]
        lines += ["reset", f"echo case {number}", case.control, "destroy all"]
    lines += ["quit 0", ".endc", ".end", ""]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / netlist
        file.write_text(body + "\n".join(lines), encoding="utf-8")
        done = subprocess.run(
            [find_ngspice() or "ngspice", "-b", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
    return _measures(done.stdout + done.stderr, netlist, len(cases))


def _measures(output: str, netlist: str, count: int) -> list[Measures]:
    found: list[Measures] = []
    for line in output.splitlines():
        if re.fullmatch(r"case \d+", line.strip()):
            found.append({})
        elif match := re.match(r"(\w+)\s+=\s+(-?[\d.]+e[+-]\d+)", line):
            found[-1][match[1]] = float(match[2])
        elif "Timestep too small" in line or "fatal" in line.lower():
            raise RuntimeError(f"{netlist}, case {len(found) - 1}: {line.strip()}")
    if len(found) != count:
        raise RuntimeError(f"{netlist}: {len(found)} of {count} cases ran: {output[-500:]}")
    return found


# --- the front end --------------------------------------------------------------------------------


def _level_control(duty: float) -> str:
    """Settle, then look at one whole period; a short phase fills its hold more slowly."""
    begin_ms = 8.1 if duty in (0.05, 0.96) else 4.1
    window = f"from={begin_ms}m to={begin_ms + 1}m"
    return "\n".join(
        (
            f"tran 2u {begin_ms + 1}m 0 4u uic",
            f"meas tran hmax MAX v(adch) {window}",
            f"meas tran hmin MIN v(adch) {window}",
            f"meas tran lmax MAX v(adcl) {window}",
            f"meas tran lmin MIN v(adcl) {window}",
        )
    )


def drive(duty: float, high_v: float, low_v: float) -> dict[str, float]:
    """Return the generator's parameters for a duty cycle."""
    if duty >= 1.0 or duty <= 0.0:
        steady_v = high_v if duty >= 1.0 else low_v
        return {"vhi": steady_v, "vlo": steady_v, "ton": PERIOD_S / 2, "gated": 0}
    return {"vhi": high_v, "vlo": low_v, "ton": duty * PERIOD_S, "gated": 1}


def connect(state: str) -> dict[str, float]:
    """Return the vehicle's parameters for a state, nominal."""
    on_cp = load_of(state)
    return {
        "rplug": NO_OHM if on_cp.r2_ohm == NO_OHM else 1e-3,
        "rr2": on_cp.r2_ohm,
        "rr3": on_cp.r3_ohm,
        "rshort": on_cp.short_ohm,
        "vdiode": on_cp.diode_v,
    }


def _within(rng: random.Random, name: str) -> float:
    return rng.uniform(*everything()[name].bounds)


def random_board(rng: random.Random, state: str, duty: float) -> dict[str, float]:
    """Return one board, cable and vehicle within all tolerances."""
    chosen = {
        name: _within(rng, name)
        for name, part in circuits()["cp_frontend"].parts.items()
        if part.value is not None and name not in ("R10", "C8")
    }
    chosen |= {"rout": rng.uniform(*OUTPUT_OHM), "vref": _within(rng, "VREF")}
    chosen |= {name: rng.uniform(-OFFSET_V, OFFSET_V) for name in ("vos", "vosh", "vosl")}
    chosen |= {"tgate": rng.uniform(*GATE_S), "ileak": rng.uniform(0.0, LEAK_A)}
    chosen |= drive(duty, _within(rng, "V12P"), _within(rng, "V12N")) | connect(state)
    if chosen["rr2"] < NO_OHM:
        chosen["rr2"], chosen["vdiode"] = _within(rng, "RV2"), _within(rng, "VD")
    if chosen["rr3"] < NO_OHM:
        chosen["rr3"] = _within(rng, "RV4" if state == "D" else "RV3")
    if state == "E":
        chosen["rshort"] = rng.uniform(0.1, 120.0)
    cable = rng.uniform(0.1, 1.0) * value("CC")
    chosen |= {"ccable": cable * 0.5, "cevse": cable * 0.5}
    return chosen | {"cvehicle": rng.uniform(0.0, 1.0) * value("CV")}


def cells() -> list[tuple[str, float]]:
    """Return every state with each duty cycle it can have; F is driven."""
    return [(s, d) for s in STATES if s != "F" for d in DUTIES] + [("F", 0.0)]


def level_rows() -> list[dict[str, object]]:
    """Return what the software reads in each state: nominal, and between which bounds."""
    rng = random.Random(SEED)
    cases = []
    for state, duty in cells():
        nominal = drive(duty, value("V12P"), value("V12N")) | connect(state)
        base = {name: value(name) for name in _varied()} | _NOMINAL
        control = _level_control(duty)
        cases.append(Case(base | nominal, control))
        cases += [Case(random_board(rng, state, duty), control) for _ in range(SAMPLES)]
    measured = run("cp_frontend.cir", cases)
    rows: list[dict[str, object]] = []
    for index, (state, duty) in enumerate(cells()):
        block = measured[index * (SAMPLES + 1) : (index + 1) * (SAMPLES + 1)]
        rows.append({"state": state, "duty": duty} | _read(block))
    return rows


_NOMINAL = {
    "rout": sum(OUTPUT_OHM) / 2,
    "vref": 3.3,
    "vos": 0.0,
    "vosh": 0.0,
    "vosl": 0.0,
    "tgate": 18e-6,
    "ileak": 1e-9,
    "ccable": 1500e-12,
    "cevse": 500e-12,
    "cvehicle": 2000e-12,
}


def _varied() -> list[str]:
    parts = circuits()["cp_frontend"].parts
    return [n for n, p in parts.items() if p.value is not None and n not in ("R10", "C8")]


def _read(block: list[Measures]) -> dict[str, object]:
    high, low = channel("cp_high"), channel("cp_low")
    first = block[0]
    read = {
        "high_v": (first["hmax"] + first["hmin"]) / 2 * high.slope + high.offset_v,
        "high_min_v": min(m["hmin"] for m in block) * high.slope + high.offset_v,
        "high_max_v": max(m["hmax"] for m in block) * high.slope + high.offset_v,
        "low_v": (first["lmax"] + first["lmin"]) / 2 * low.slope + low.offset_v,
        "low_min_v": min(m["lmin"] for m in block) * low.slope + low.offset_v,
        "low_max_v": max(m["lmax"] for m in block) * low.slope + low.offset_v,
        "adc_high_v": (first["hmax"] + first["hmin"]) / 2,
        "adc_low_v": (first["lmax"] + first["lmin"]) / 2,
    }
    return {name: round(number, 3) for name, number in read.items()}


# --- edges ----------------------------------------------------------------------------------------

CABLES = (("none", 0.0), ("5 m", 750e-12), ("longest allowed", None))
"""Name and capacitance of the cable; None: all that the standard leaves for it."""
STRAY_F = 200e-12
"""The charger's board and socket, besides suppressor and coupling."""
LIMITS_US = {"A": (None, None), "B": (10.0, 13.0), "C": (7.0, 13.0), "D": (5.0, 13.0)}
"""Rise and fall time allowed (10 to 90 %): IEC 61851-1 Table A.2, for B and C as EVerest's bring-up
guide gives it; the open generator has 2 µs."""


def _edges(high_v: float, low_v: float) -> str:
    swing = high_v - low_v
    return "\n".join(
        (
            "tran 0.2u 1.2m 0 0.1u uic",
            f"meas tran rise TRIG v(cp) VAL={low_v + 0.1 * swing:.6g} RISE=LAST "
            f"TARG v(cp) VAL={low_v + 0.9 * swing:.6g} RISE=LAST",
            f"meas tran fall TRIG v(cp) VAL={low_v + 0.9 * swing:.6g} FALL=1 TD=0.55m "
            f"TARG v(cp) VAL={low_v + 0.1 * swing:.6g} FALL=1 TD=0.55m",
        )
    )


def edge_rows() -> list[dict[str, object]]:
    """Return rise and fall time (10 to 90 %) for each state and cable, with the slowest source."""
    cases, labels = [], []
    settled = {
        state: (row["cpmax"], row["cpmin"])
        for state, row in zip("ABCD", run("cp_frontend.cir", _settled_cases()), strict=True)
    }
    own_f = value("C1") + value("C2") + STRAY_F
    for state in "ABCD":
        for name, length_f in CABLES:
            cable_f = value("CC") - own_f if length_f is None else length_f
            vehicle_f = 0.0 if state == "A" else value("CV")
            parameters = _NOMINAL | drive(0.5, value("V12P"), value("V12N")) | connect(state)
            parameters |= {"R1": everything()["R1"].bounds[1], "rout": OUTPUT_OHM[1]}
            parameters |= {
                "cevse": STRAY_F,
                "ccable": cable_f + 1e-15,
                "cvehicle": vehicle_f + 1e-15,
            }
            cases.append(Case(parameters, _edges(*settled[state])))
            labels.append((state, name, own_f + cable_f + vehicle_f))
    measured = run("cp_frontend.cir", cases)
    return [
        {
            "state": state,
            "cable": name,
            "total_pf": round(total_f * 1e12),
            "rise_us": round(m["rise"] * 1e6, 2),
            "rise_limit_us": LIMITS_US[state][0],
            "fall_us": round(m["fall"] * 1e6, 2),
            "fall_limit_us": LIMITS_US[state][1],
        }
        for (state, name, total_f), m in zip(labels, measured, strict=True)
    ]


def _settled_cases() -> list[Case]:
    control = (
        "tran 2u 1.1m 0 4u uic\nmeas tran cpmax FIND v(cp) AT=0.59m\n"
        "meas tran cpmin FIND v(cp) AT=1.08m"
    )
    return [
        Case(_NOMINAL | drive(0.5, value("V12P"), value("V12N")) | connect(s), control)
        for s in "ABCD"
    ]


# --- watchdog and CP loss -------------------------------------------------------------------------


def _any_board(rng: random.Random, circuit: str) -> dict[str, float]:
    parts = circuits()[circuit].parts
    return {n: _within(rng, n) for n, p in parts.items() if p.value is not None and n != "R16"}


def watchdog_rows() -> list[dict[str, object]]:
    """Return how long after the last edge the chain opens, and by which edge it closed."""
    rows: list[dict[str, object]] = []
    for period_s in WATCHDOG_PERIODS_S:
        rng = random.Random(SEED)
        last_s = round(0.09 / period_s) * period_s
        control = "\n".join(
            (
                f"tran 20u {last_s + 0.04:.6g} 0 50u uic",
                "meas tran closes WHEN v(out)=2.5 FALL=1",
                "meas tran opens WHEN v(out)=2.5 RISE=LAST",
                f"meas tran chatter MAX v(out) from={0.5 * last_s:.6g} to={last_s:.6g}",
            )
        )
        base = {"half": period_s, "tlast": last_s}
        nominal = {"vcc": 5.0, "vd": 0.3, "bias": 0.0}
        own = {n: value(n) for n, p in circuits()["watchdog"].parts.items() if p.value}
        own.pop("R16")
        cases = [Case(base | own | nominal, control)]
        for _ in range(SAMPLES):
            spread = {
                "vcc": _within(rng, "V5"),
                "vd": rng.uniform(0.22, 0.38),
                "bias": rng.uniform(-BIAS_A, BIAS_A),
            }
            cases.append(Case(base | _any_board(rng, "watchdog") | spread, control))
        measured = run("watchdog.cir", cases)
        opens = [(m["opens"] - last_s) * 1e3 for m in measured]
        rows.append(
            {
                "period_ms": period_s * 1e3,
                "opens_ms": round(opens[0], 2),
                "opens_min_ms": round(min(opens), 2),
                "opens_max_ms": round(max(opens), 2),
                "closes_edge_min": min(_edge(m["closes"], period_s) for m in measured),
                "closes_edge_max": max(_edge(m["closes"], period_s) for m in measured),
                "steady": all(m["chatter"] < 1.0 for m in measured),
            }
        )
    return rows


def _edge(at_s: float, period_s: float) -> int:
    return int(at_s / period_s + 0.01) + 1


def cp_loss_rows() -> list[dict[str, object]]:
    """Return how fast each loss of the pilot cuts the supply, over tolerances and instants."""
    rows: list[dict[str, object]] = []
    for loss in LOSSES:
        rng = random.Random(SEED)
        cases = []
        for number in range(SLOW_SAMPLES + 1):
            at_s = 0.04 + number / (SLOW_SAMPLES + 1) * PERIOD_S
            own = {n: value(n) for n, p in circuits()["cp_loss"].parts.items() if p.value}
            board = own if number == 0 else _any_board(rng, "cp_loss")
            spread = {"vcc": 5.0, "ctotal": 4300e-12, "tloss": at_s} | dict.fromkeys(LOSSES, 0.0)
            if number:
                spread |= {"vcc": _within(rng, "V5")}
                spread |= {"ctotal": rng.uniform(300e-12, value("CC") + value("CV"))}
            spread[loss] = 1.0
            control = "\n".join(
                (
                    "tran 10u 60m 0 20u uic",
                    "meas tran on_at WHEN v(out)=12 FALL=1",
                    "meas tran off_at WHEN v(out)=12 RISE=LAST",
                    "meas tran rides MAX v(out) from=25m to=40m",
                    f"meas tran after MIN v(out) from={at_s + 0.008:.6g} to=60m",
                )
            )
            cases.append(Case(board | spread, control))
        measured = run("cp_loss.cir", cases)
        off = [
            (m["off_at"] - c.parameters["tloss"]) * 1e3
            for m, c in zip(measured, cases, strict=True)
        ]
        on = [m["on_at"] * 1e3 for m in measured]
        rows.append(
            {
                "loss": loss,
                "off_min_ms": round(min(off), 2),
                "off_max_ms": round(max(off), 2),
                "on_min_ms": round(min(on), 2),
                "on_max_ms": round(max(on), 2),
                "rides_out": all(m["rides"] < 1.0 for m in measured),
                "stays_off": all(m["after"] > 20.0 for m in measured),
            }
        )
    return rows


# --- all ------------------------------------------------------------------------------------------


def results() -> dict[str, object]:
    """Run everything."""
    return {
        "seed": SEED,
        "samples": SAMPLES,
        "levels": level_rows(),
        "edges": edge_rows(),
        "watchdog": watchdog_rows(),
        "cp_loss": cp_loss_rows(),
    }


def main() -> int:
    """Run everything, keep the results, write the tables."""
    if find_ngspice() is None:
        sys.stderr.write(MISSING + "\n")
        return 2
    RESULTS.write_text(json.dumps(results(), indent=1) + "\n", encoding="utf-8")
    from hw_docs.generate import main as generate

    return generate([])


if __name__ == "__main__":
    sys.exit(main())
