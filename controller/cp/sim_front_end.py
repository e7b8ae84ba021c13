"""The charger's CP front end, simulated in time: edges, peak detectors, comparator.

`PilotCircuit` says what the circuit is and where it comes to rest; this is how it gets there.

- *Generator and line*: +-12 V through 1 kOhm onto the capacitance of cable and vehicle; below the
  vehicle's diode the line moves with the source's time constant, above it with the loaded one.
- *Peak detectors*: an ideal diode, a charge resistor, a hold capacitor and a bleeder to the line,
  once for each sign. The powerline's signal rides on the pilot; of it they see what their input
  filter lets through. Between two pulses they droop towards the line.
- *Comparator*: where the line crosses its threshold, later than the generator switched.

Everything is solved piece by piece (a piece has one source level and one state of the diode), so
nothing depends on how often somebody looks. Nothing runs by itself: `advance` to `now` before you
change anything, and look. Converter noise and steps are those of `sim_adc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot, log
from typing import TYPE_CHECKING, NamedTuple, Protocol

from controller.cp import limits
from controller.cp.sim import Diode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.cp.sim import PilotCircuit

NS_PER_S = 1_000_000_000
FORGOTTEN = 8.0
"""So many droop times later a detector knows nothing of what was before (0.03 %)."""


class Drive(Protocol):
    """What the generator is told over time: 1 is +12 V. Times are nanoseconds."""

    def level(self, at: int) -> int:
        """0 or 1."""

    def edges(self, after: int, until: int) -> list[tuple[int, int]]:
        """(time, level) of every change with after < time <= until."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the board. Own figures, from the demands in hw_docs/interlock.md."""

    charge_s: float = 2e-6
    """Charge resistor times hold capacitor: 200 Ohm, 10 nF."""
    droop_s: float = 0.03
    """Bleeder times hold capacitor: 3 MOhm, 10 nF, from the capacitor to the line, so that steady
    levels are seen as they are. Between two pulses of 5 % the detector loses 0.65 V of B; a level
    that falls from B to C is seen after 5 ms, steady -12 V after 95 ms."""
    threshold_v: float = 1.5
    """Of the comparator: above state E, below D."""
    ripple_v: float = 0.65
    """Amplitude of the powerline's signal on CP while a modem transmits."""
    ripple_hz: float = 7.3e6
    """Middle of 1.8 to 30 MHz, by ratio."""
    filter_hz: float = 200e3
    """Corner of the detectors' input filter."""

    @property
    def ripple_seen_v(self) -> float:
        """What of the ripple reaches the detectors: a filter of the first order."""
        return self.ripple_v / hypot(1.0, self.ripple_hz / self.filter_hz)


class Piece(NamedTuple):
    """A stretch of the line: from `start_v` towards `rest_v` with one time constant."""

    length_s: float
    start_v: float
    rest_v: float
    tau_s: float

    def at(self, passed_s: float) -> float:
        """Voltage so long after the start."""
        return self.rest_v + (self.start_v - self.rest_v) * exp(-passed_s / self.tau_s)

    def reaches(self, level_v: float) -> float | None:
        """When the line crosses a level, or None if not within the piece."""
        if (self.start_v > level_v) is (self.rest_v > level_v) or self.rest_v == level_v:
            return None
        gap_v, left_v = self.rest_v - self.start_v, self.rest_v - level_v
        at_s = self.tau_s * log(max(1.0, gap_v / left_v))
        return at_s if at_s <= self.length_s else None


class FrontEnd:
    """The dynamic part around a `PilotCircuit`, which holds levels and faults."""

    def __init__(
        self, pilot: PilotCircuit, parts: Parts | None = None, *, at_inlet: bool = False
    ) -> None:
        self.pilot = pilot
        self.at_inlet = at_inlet
        """The detectors are the vehicle's: behind its diode, where the low phase is 0 V."""
        self.parts = parts or Parts()
        self.ripple = False
        """A powerline modem transmits."""
        self._drive: Drive | None = None
        self._at = 0
        self._line_v = 0.0
        self._held_v = [0.0, 0.0]
        """Positive and negative detector."""

    @property
    def line_v(self) -> float:
        """Voltage on CP, as of the last `advance`."""
        return self._line_v

    @property
    def high_v(self) -> float:
        """Positive detector, as of the last `advance`."""
        return self._held_v[0]

    @property
    def low_v(self) -> float:
        """Negative detector, as of the last `advance`."""
        return self._held_v[1]

    def set_drive(self, drive: Drive | None, at: int) -> None:
        """Drive the generator so from `at` on; None: its input is open, and it rests at -12 V."""
        self.advance(at)
        self._drive = drive

    def advance(self, at: int) -> None:
        """Bring line and detectors to `at`; going back is ignored."""
        forgotten = at - int(FORGOTTEN * self.parts.droop_s * NS_PER_S)
        begin = max(self._at, forgotten)
        if begin >= at:
            return
        level = self._drive.level(begin) if self._drive else 0
        for when, new in self._drive.edges(begin, at) if self._drive else ():
            self._run(level, (when - begin) / NS_PER_S)
            begin, level = when, new
        self._run(level, (at - begin) / NS_PER_S)
        self._at = at

    def comparator_delays_s(self) -> tuple[float, float] | None:
        """How much later than the generator the comparator rises and falls; None: it stays low.

        For an oscillating pilot: each phase begins where the other one rests.
        """
        low_v, high_v = self.rests_at(0), self.rests_at(1)
        threshold_v = self.parts.threshold_v
        if not low_v < threshold_v < high_v:
            return None
        period_s = limits.PWM_PERIOD_S
        return (
            self._crossing_s(1, low_v, threshold_v, period_s),
            self._crossing_s(0, high_v, threshold_v, period_s),
        )

    def rests_at(self, level: int) -> float:
        """Voltage at which the line rests with the generator steady at this level."""
        source_v = self.pilot.supply_v if level else self.pilot.negative_supply_v
        rest_v, _ = self.pilot.rests_at(source_v, conducting=False)
        if self.pilot.conducts_at(rest_v):
            rest_v, _ = self.pilot.rests_at(source_v, conducting=True)
        return rest_v

    # --- inside ---------------------------------------------------------------------------------

    def _crossing_s(self, level: int, from_v: float, threshold_v: float, length_s: float) -> float:
        passed_s = 0.0
        for piece in self._pieces(level, from_v, length_s):
            at_s = piece.reaches(threshold_v)
            if at_s is not None:
                return passed_s + at_s
            passed_s += piece.length_s
        return passed_s

    def _run(self, level: int, length_s: float) -> None:
        if length_s <= 0.0:
            return
        for piece in self._pieces(level, self._line_v, length_s):
            self._hold(piece)
            self._line_v = piece.at(piece.length_s)

    def _pieces(self, level: int, line_v: float, length_s: float) -> Iterator[Piece]:
        """Split a phase where the vehicle's diode begins or ceases to conduct."""
        pilot = self.pilot
        source_v = pilot.supply_v if level else pilot.negative_supply_v
        for _ in range(3):  # the diode changes its mind once; never more than twice
            conducting = pilot.conducts_at(line_v)
            rest_v, conductance = pilot.rests_at(source_v, conducting=conducting)
            tau_s = pilot.capacitance_f / conductance
            piece = Piece(length_s, line_v, rest_v, tau_s)
            if pilot.conducts_at(rest_v) is conducting:
                yield piece
                return
            knee_s = piece.reaches(limits.DIODE_DROP_V)
            if knee_s is None:
                yield piece
                return
            if knee_s > 0.0:
                yield piece._replace(length_s=knee_s)
            length_s -= knee_s
            # Just beyond the knee, in the direction in which the line moves.
            line_v = limits.DIODE_DROP_V + (1e-9 if rest_v > limits.DIODE_DROP_V else -1e-9)

    def _hold(self, piece: Piece) -> None:
        ripple_v = self.parts.ripple_seen_v if self.ripple else 0.0
        if self.at_inlet:
            piece = self._behind_diode(piece)
        for number, sign in enumerate((1.0, -1.0)):
            line = piece._replace(start_v=piece.start_v * sign, rest_v=piece.rest_v * sign)
            held_v = self._detect(line, ripple_v, self._held_v[number] * sign)
            self._held_v[number] = held_v * sign

    def _behind_diode(self, piece: Piece) -> Piece:
        if not self.pilot.conducts_at((piece.start_v + piece.at(piece.length_s)) / 2):
            return piece._replace(start_v=0.0, rest_v=0.0)
        drop_v = 0.0 if self.pilot.diode is Diode.SHORTED else limits.DIODE_DROP_V
        return piece._replace(start_v=piece.start_v - drop_v, rest_v=piece.rest_v - drop_v)

    def _detect(self, line: Piece, ripple_v: float, held_v: float) -> float:
        """One detector over one piece: charged by what is above it, else bled towards the line.

        What is held moves so little until the line crosses it that it counts as still until then.
        """
        seen = line._replace(start_v=line.start_v + ripple_v, rest_v=line.rest_v + ripple_v)
        crossing_s = seen.reaches(held_v)
        if crossing_s is None:
            crossing_s = line.length_s
        left_s = line.length_s - crossing_s
        if seen.start_v > held_v:
            held_v = _follow(seen, 0.0, crossing_s, held_v, self.parts.charge_s)
            return _follow(line, crossing_s, left_s, held_v, self.parts.droop_s)
        held_v = _follow(line, 0.0, crossing_s, held_v, self.parts.droop_s)
        return _follow(seen, crossing_s, left_s, held_v, self.parts.charge_s)


def _follow(line: Piece, begin_s: float, length_s: float, held_v: float, by_s: float) -> float:
    """Follow a line with the time constant `by_s` for a while; returns what is held then."""
    if length_s <= 0.0:
        return held_v
    tau_s = line.tau_s if abs(line.tau_s - by_s) > 1e-3 * by_s else by_s * 1.001
    away_v = line.at(begin_s) - line.rest_v
    forced_v = away_v * tau_s / (tau_s - by_s)
    own_v = held_v - line.rest_v - forced_v
    return line.rest_v + forced_v * exp(-length_s / tau_s) + own_v * exp(-length_s / by_s)
