"""The correction of the measured pilot levels (core): fitted from known loads, kept in a file.

The board's figures turn volts at the converter into volts on CP; resistors of 1 % and the offset of
an amplifier leave a few tenths of a volt of error. `ccs-pilot calibrate` measures known voltages,
`fit` draws a straight line through them for each detector, and what does not look like a board of
this kind is refused: a wrong correction is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from controller import toml_file
from controller.cp import limits
from controller.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GAIN = (0.9, 1.1)
OFFSET_V = (-1.0, 1.0)
LARGEST_RESIDUAL_V = 0.3
"""Own figures. Two 1 % resistors and a 1 % reference make 3 %; the bands of the states are +-1 V
wide, and a correction must not use them up."""
STEADY_TOLERANCE_V = 1.0
"""Table A.4: state A is 12 V +-1 V, state F -12 V +-1 V; the generator itself may have +-0.6 V."""
LEAST_SPAN_V = 12.0
"""Points nearer to each other than this say too little about the gain."""
FEWEST_POINTS = 3


@dataclass(frozen=True, slots=True)
class Correction:
    """Corrected volts = volts * gain + offset_v."""

    gain: float = 1.0
    offset_v: float = 0.0

    def apply(self, volts: float) -> float:
        """Correct one reading."""
        return volts * self.gain + self.offset_v


NOMINAL = Correction()


@dataclass(frozen=True, slots=True)
class Load:
    """What hangs between CP and PE in one step, and what the generator drives."""

    name: str
    what: str
    ohm: float
    duty: float = 1.0

    def expected_v(self, diode: bool) -> float:
        """Voltage on CP with a generator of +-12 V, with or without a diode before the load."""
        drop_v = limits.DIODE_DROP_V if diode and self.ohm > 0.0 else 0.0
        source_v = limits.GENERATOR_V if self.duty > 0.0 else -limits.GENERATOR_V
        if self.ohm == float("inf") or (diode and source_v < 0.0):
            return source_v
        return drop_v + (source_v - drop_v) * self.ohm / (self.ohm + limits.SOURCE_OHM)


def _parallel(*ohms: float) -> float:
    return 1.0 / sum(1.0 / ohm for ohm in ohms)


LOADS = (
    Load("open", "nothing", float("inf")),
    Load("b", "2.74 kOhm", limits.R2_OHM),
    Load("c", "2.74 kOhm and 1.3 kOhm in parallel", _parallel(limits.R2_OHM, limits.R3_OHM)),
    Load(
        "d",
        "2.74 kOhm and 270 Ohm in parallel",
        _parallel(limits.R2_OHM, limits.R3_VENTILATION_OHM),
    ),
    Load("short", "a wire", 0.0),
    Load("low", "nothing", float("inf"), duty=0.0),
)
"""The steps of a calibration (IEC 61851-1 Table A.3: the vehicle's resistors)."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step: what was there, and what the detectors showed before correction."""

    load: str
    actual_v: float
    """By a meter, or as a good generator gives it."""
    high_v: float
    low_v: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The corrections of both detectors, and where they come from."""

    high: Correction = NOMINAL
    low: Correction = NOMINAL
    converter: str = ""
    made: str = ""
    """UTC; empty: the board's nominal values."""
    residual_v: float = 0.0
    """The largest deviation of a point from the line."""
    points: tuple[Point, ...] = ()


def fit(points: Sequence[Point], converter: str, made: str) -> Calibration:
    """Draw the line for both detectors. Raises ConfigError when it is not plausible."""
    actual = [point.actual_v for point in points]
    if len(points) < FEWEST_POINTS or max(actual) - min(actual) < LEAST_SPAN_V:
        raise ConfigError(
            f"calibration: at least {FEWEST_POINTS} points over {LEAST_SPAN_V:g} V are needed"
        )
    high = _line([point.high_v for point in points], actual)
    low = _line([point.low_v for point in points], actual)
    residual_v = _residual_v(high, low, points)
    found = Calibration(high, low, converter, made, residual_v, tuple(points))
    _check(found, "calibration")
    return found


def _residual_v(high: Correction, low: Correction, points: Sequence[Point]) -> float:
    """Return the largest deviation of a point from the lines; 0 without points."""
    return max(
        (
            max(abs(high.apply(p.high_v) - p.actual_v), abs(low.apply(p.low_v) - p.actual_v))
            for p in points
        ),
        default=0.0,
    )


def _line(measured: Sequence[float], actual: Sequence[float]) -> Correction:
    """Least squares; a detector that always shows the same has no line."""
    count = len(measured)
    mean_m, mean_a = sum(measured) / count, sum(actual) / count
    spread = sum((m - mean_m) ** 2 for m in measured)
    if spread < 1.0:
        raise ConfigError("calibration: a detector shows the same voltage whatever is connected")
    gain = sum((m - mean_m) * (a - mean_a) for m, a in zip(measured, actual, strict=True)) / spread
    return Correction(gain, mean_a - gain * mean_m)


def _check(found: Calibration, where: str) -> None:
    for name, correction in (("cp_high", found.high), ("cp_low", found.low)):
        if not GAIN[0] <= correction.gain <= GAIN[1]:
            raise ConfigError(
                f"{where}: {name}: gain {correction.gain:.3f} is not plausible "
                f"({GAIN[0]:g} to {GAIN[1]:g}): is the board the one of the pin map?"
            )
        if not OFFSET_V[0] <= correction.offset_v <= OFFSET_V[1]:
            raise ConfigError(
                f"{where}: {name}: offset {correction.offset_v:+.2f} V is not plausible "
                f"({OFFSET_V[0]:g} to {OFFSET_V[1]:g} V)"
            )
    if not 0.0 <= found.residual_v <= LARGEST_RESIDUAL_V:
        raise ConfigError(
            f"{where}: the points lie up to {found.residual_v:.2f} V beside the line "
            f"(at most {LARGEST_RESIDUAL_V:g} V): measure again"
        )


# --- the file ------------------------------------------------------------------------------------

_ADVICE = "; make it anew: ccs-pilot calibrate"


def render(found: Calibration) -> str:
    """The file's text."""
    lines = [
        "# Correction of the measured pilot levels; made by `ccs-pilot calibrate`.",
        f'made = "{found.made}"',
        f'converter = "{found.converter}"',
        f"residual_v = {found.residual_v:.4f}",
    ]
    for name, correction in (("cp_high", found.high), ("cp_low", found.low)):
        lines += [
            "",
            f"[{name}]",
            f"gain = {correction.gain:.6f}",
            f"offset_v = {correction.offset_v:.4f}",
        ]
    for point in found.points:
        lines += [
            "",
            "[[point]]",
            f'load = "{point.load}"',
            f"actual_v = {point.actual_v:.4f}",
            f"high_v = {point.high_v:.4f}",
            f"low_v = {point.low_v:.4f}",
        ]
    return "\n".join(lines) + "\n"


def parse(source: str, name: str) -> Calibration:
    """Read the file's text; `name` is the file named in errors. Raises ConfigError."""
    try:
        tables = toml_file.parse(source, name)
    except ConfigError as error:
        raise ConfigError(f"{error}{_ADVICE}") from error
    fields = _fields(tables, ("made", "converter", "residual_v", "cp_high", "cp_low"), name)
    points = fields.get("point", [])
    if not isinstance(points, list):
        raise ConfigError(f"{name}: point: must be written as [[point]]{_ADVICE}")
    found = Calibration(
        _correction(fields["cp_high"], f"{name}: cp_high"),
        _correction(fields["cp_low"], f"{name}: cp_low"),
        str(fields["converter"]),
        str(fields["made"]),
        _number(fields["residual_v"], f"{name}: residual_v"),
        tuple(_point(point, f"{name}: point {n + 1}") for n, point in enumerate(points)),
    )
    _check(found, name)
    beside_v = _residual_v(found.high, found.low, found.points)
    if not beside_v <= LARGEST_RESIDUAL_V:
        raise ConfigError(
            f"{name}: its points lie up to {beside_v:.2f} V beside its own line: was it changed by "
            f"hand?{_ADVICE}"
        )
    return found


def load(path: Path | None, converter: str) -> Calibration:
    """Read a calibration made with this kind of converter; None: nominal. Raises ConfigError."""
    if path is None:
        return Calibration()
    try:
        source = toml_file.read(path)
    except ConfigError as error:
        raise ConfigError(f"{error}{_ADVICE}") from error
    found = parse(source, str(path))
    if found.converter != converter:
        raise ConfigError(
            f"{path}: was made with the converter {found.converter}, [hardware] adc says "
            f"{converter}{_ADVICE}"
        )
    return found


def _fields(table: object, needed: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: must be a table{_ADVICE}")
    for key in table:
        if key not in (*needed, "point"):
            raise ConfigError(f"{where}: {key}: unknown{_ADVICE}")
    for key in needed:
        if key not in table:
            raise ConfigError(f"{where}: {key} is missing{_ADVICE}")
    return table


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ConfigError(f"{where} = {value!r}: must be a number{_ADVICE}")
    return float(value)


def _correction(table: object, where: str) -> Correction:
    fields = _fields(table, ("gain", "offset_v"), where)
    return Correction(
        _number(fields["gain"], f"{where}.gain"), _number(fields["offset_v"], f"{where}.offset_v")
    )


def _point(table: object, where: str) -> Point:
    fields = _fields(table, ("load", "actual_v", "high_v", "low_v"), where)
    volts = [_number(fields[key], f"{where}.{key}") for key in ("actual_v", "high_v", "low_v")]
    return Point(str(fields["load"]), *volts)


def steady_problem(driven_v: float, high_v: float, low_v: float) -> str:
    """Compare what the detectors show with what is driven steadily, nothing else on CP; or nothing.

    `driven_v` is +12 or -12. Both detectors show the same voltage while the pilot is steady.
    """
    for name, seen_v in (("cp_high", high_v), ("cp_low", low_v)):
        if not abs(seen_v - driven_v) <= STEADY_TOLERANCE_V:
            return (
                f"steady {driven_v:+g} V is driven, and {name} shows {seen_v:+.2f} V: "
                "check the pilot's front end, or make the calibration anew (ccs-pilot calibrate)"
            )
    return ""
