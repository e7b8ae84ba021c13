"""The charger's CP front end, simulated in time: edges, peak detectors, comparator.

`PilotCircuit` says what the circuit is and where it comes to rest; this is how it gets there.

- *Generator and line*: +-12 V through 1 kOhm onto the capacitance of cable and vehicle; below the
  vehicle's diode the line moves with the source's time constant, above it with the loaded one.
- *Peak detectors*: a hold capacitor behind a resistor, once for each phase. On the project's board
  the PWM opens their gates, each in its own phase, and they follow the line in either direction;
  shut, they droop. On other boards (`BLED`) there are diodes: they follow what is beyond what they
  hold, and a bleeder takes them back to the line. The powerline's signal rides on the pilot; of it
  they see what their filter lets through.
- *Comparator*: where the line crosses its threshold, later than the generator switched.

Everything is solved piece by piece (a piece has one source level and one state of the diode), so
nothing depends on how often somebody looks. Nothing runs by itself: `advance` to `now` before you
change anything, and look. Converter noise and steps are those of `sim_adc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot, inf, log
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
    """The parts of a board; the defaults are those of hw_docs/cp_frontend.md."""

    charge_s: float = 22e-6
    """Charge resistor times hold capacitor: 1 kOhm, 22 nF."""
    droop_s: float = 10.0
    """Hold capacitor against what leaks out of it while its gate is shut; or, without gates, the
    bleeder to the line."""
    gate_s: float | None = 18e-6
    """After an edge of the generator the hold of the new phase opens so much later, until the next
    edge; None: diodes instead of gates."""
    missing_s: float = 2.2e-3
    """Without an edge for so long both gates are open."""
    threshold_v: float = 1.5
    """Of the comparator: above state E, below D."""
    ripple_v: float = 0.65
    """Amplitude of the powerline's signal on CP while a modem transmits (own figure)."""
    ripple_hz: float = 7.3e6
    """Middle of 1.8 to 30 MHz, by ratio."""
    filter_hz: float = 7.2e3
    """Corner of the filter before the detectors; with gates that is the hold itself."""

    @property
    def ripple_seen_v(self) -> float:
        """What of the ripple reaches the detectors: a filter of the first order."""
        return self.ripple_v / hypot(1.0, self.ripple_hz / self.filter_hz)


BLED = Parts(charge_s=2e-6, droop_s=0.03, gate_s=None, filter_hz=200e3)
"""A board with diodes: 200 Ohm and 10 nF charge, 3 MOhm bleed. Between two pulses of 5 % it loses
0.65 V of B; a level that falls from B to C is seen after 5 ms, steady -12 V after 95 ms."""
GATED_MEMORY_S = 0.03
"""Behind gates nothing is left of what was before: each phase brings its hold to itself by three
quarters, at 5 %."""


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
        self._since_edge_s = inf
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
        begin = max(self._at, at - self._memory_ns())
        if begin >= at:
            return
        level = self._drive.level(begin) if self._drive else 0
        if begin > self._at:
            self._look_back(begin)
        for when, new in self._drive.edges(begin, at) if self._drive else ():
            self._run(level, (when - begin) / NS_PER_S)
            begin, level = when, new
            self._since_edge_s = 0.0
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

    def _memory_ns(self) -> int:
        """How much of the past still shows."""
        gated = self.parts.gate_s is not None
        return int((GATED_MEMORY_S if gated else FORGOTTEN * self.parts.droop_s) * NS_PER_S)

    def _look_back(self, begin: int) -> None:
        """Find out how long ago the last edge was, after a time in which nobody looked."""
        window = int(self.parts.missing_s * NS_PER_S)
        edges = self._drive.edges(begin - window, begin) if self._drive else []
        self._since_edge_s = (begin - edges[-1][0]) / NS_PER_S if edges else inf

    def _run(self, level: int, length_s: float) -> None:
        """Let the generator stay at one level; gates open and shut meanwhile."""
        while length_s > 0.0:
            part_s, gates = length_s, (True, True)
            if self.parts.gate_s is not None:
                for change_s in (self.parts.gate_s, self.parts.missing_s):
                    if self._since_edge_s < change_s:
                        part_s = min(part_s, change_s - self._since_edge_s)
                gates = self._gates(level)
            for piece in self._pieces(level, self._line_v, part_s):
                self._hold(piece, gates)
                self._line_v = piece.at(piece.length_s)
            self._since_edge_s += part_s
            length_s -= part_s

    def _gates(self, level: int) -> tuple[bool, bool]:
        """Which hold follows the line: high, low."""
        assert self.parts.gate_s is not None
        if self._since_edge_s >= self.parts.missing_s:
            return True, True
        is_open = self._since_edge_s >= self.parts.gate_s
        return is_open and level == 1, is_open and level == 0

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

    def _hold(self, piece: Piece, gates: tuple[bool, bool]) -> None:
        ripple_v = self.parts.ripple_seen_v if self.ripple else 0.0
        if self.at_inlet:
            piece = self._behind_diode(piece)
        for number, sign in enumerate((1.0, -1.0)):
            line = piece._replace(start_v=piece.start_v * sign, rest_v=piece.rest_v * sign)
            held_v = self._held_v[number] * sign
            if self.parts.gate_s is None:
                held_v = self._detect(line, ripple_v, held_v)
            elif gates[number]:
                seen = line._replace(start_v=line.start_v + ripple_v, rest_v=line.rest_v + ripple_v)
                held_v = _follow(seen, 0.0, line.length_s, held_v, self.parts.charge_s)
            else:
                held_v *= exp(-line.length_s / self.parts.droop_s)
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
