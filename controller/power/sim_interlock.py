"""The external hardware interlock, simulated: watchdog, CP-loss part, emergency stop, coil latch.

What `hw_docs/interlock.md` demands of hardware, with the delays that such a circuit has. Nothing
runs by itself: tell it what happens (`watchdog.edge`, `command`, attributes), and `advance` it to
`now`; `next_at` says when it will change on its own. In between it costs its user a comparison.

    chain = SimInterlock(PilotCircuit())
    chain.watchdog.edge(now)  # each change of the watchdog's GPIO; or toggle(on=True, now) once
    chain.advance(now)
    chain.chain_closed, chain.coils_live, chain.coils_on

Faults are attributes: set them at any instant.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

WATCHDOG_OPENS_S = 0.013
"""After the last edge, with edges every 5 ms; the contract allows 20 ms."""
EDGE_S = 0.005
"""Period of edges that nobody simulates; the second one fills the charge pump."""
CP_SEES_LOW_V, CP_SEES_HIGH_V = 1.5, 7.5
"""Between these the high phase means C or D; thresholds of the CP-loss comparators."""
CP_SEES_NEGATIVE_V = -8.0
"""The low phase must be below this: the oscillator runs."""
CP_FOUND_S = 0.011
"""All comparators have agreed for this long."""
CP_LOST_S = 0.003
"""The slowest loss, a stuck oscillator: what rides out the 1 ms cycle runs out of patience."""


class Peaks(Protocol):
    """What the CP-loss part looks at: a `PilotCircuit`, or anything else with levels."""

    @property
    def peaks(self) -> tuple[float, float]:
        """Voltages of the high and the low phase on CP."""


class SimWatchdog:
    """The external watchdog: its contact is closed while its input keeps changing.

    Two ways to feed it: `edge` for each change of the pin; or `toggle`, where nobody wants to
    simulate every edge (virtual time): edges then come by themselves until told otherwise.
    Faults: `stuck` (True: the contact is welded; False: dead), `opens_s`.
    """

    def __init__(self) -> None:
        self.opens_s = WATCHDOG_OPENS_S
        self.stuck: bool | None = None
        self.toggling = False
        self._closes_at = inf
        self._edge_at = -inf

    def edge(self, now: float) -> None:
        """Take one change of the pin."""
        if not self.toggling and now >= self._edge_at + self.opens_s:
            self._closes_at = inf  # one edge does not fill the pump
        elif self._closes_at > now:
            self._closes_at = now
        self._edge_at = now

    def toggle(self, on: bool, now: float) -> None:
        """Let edges come by themselves from `now` on, or stop them after one at `now`."""
        if on is not self.toggling:
            self.edge(now)
            self.toggling = on
            if on:
                self._closes_at = min(self._closes_at, now + EDGE_S)

    def is_closed(self, now: float) -> bool:
        """Return whether the contact is closed."""
        if self.stuck is not None:
            return self.stuck
        return self._closes_at <= now < self._opens_at()

    def next_change(self, now: float) -> float:
        """When the contact will move without a further edge; infinity: not by itself."""
        opens_at = self._opens_at()
        if now < self._closes_at < opens_at:
            return self._closes_at
        return opens_at if now < opens_at else inf

    def _opens_at(self) -> float:
        return inf if self.toggling else self._edge_at + self.opens_s


class SimInterlock:
    """Watchdog, emergency stop and over-voltage close the chain; chain and pilot feed the coils.

    Faults: `chain_bridged`, `cp_bridged` (the part does not interrupt), `cp_dead` (never feeds),
    `cp_lost_s`, `coils_stuck` (what the read-back of the supply says, whatever it is),
    `watchdog.stuck`, `over_voltage`, and either channel of the emergency stop alone.
    `fitted = False` is a board without all this: its inputs read as unconnected ones do, and the
    command goes to the coils.
    """

    def __init__(self, pilot: Peaks) -> None:
        self.pilot = pilot
        self.watchdog = SimWatchdog()
        self.fitted = True
        self.needs_oscillator = True
        """False on an AC charger's board: a jumper bridges the comparator of the low phase."""
        self.stop_a = self.stop_b = False
        self.over_voltage = False
        self.chain_bridged = False
        self.cp_bridged = False
        self.cp_dead = False
        self.coils_stuck: bool | None = None
        self.cp_lost_s = CP_LOST_S
        self.commanded = False
        self.chain_closed = False
        self.next_at = inf
        """When something will change without anyone's doing."""
        self._live = False
        self._latched_on = False
        self._cp_seen = self._cp_feeds = False
        self._cp_follows_at = inf

    @property
    def coils_live(self) -> bool:
        """What the read-back of the supply of coils and module enable says."""
        return self._live if self.coils_stuck is None else self.coils_stuck

    @property
    def coils_on(self) -> bool:
        """Whether the contactor coils carry current: commanded, while their supply was there."""
        return self.commanded if not self.fitted else self._latched_on

    @property
    def modules_enabled(self) -> bool:
        """Whether the power modules may work."""
        return self._live or not self.fitted

    def command(self, closed: bool, now: float) -> None:
        """Drive the coils: an edge to `closed` counts only while their supply is there."""
        self.advance(now)
        if closed and not self.commanded:
            self._latched_on = self._live
        elif not closed:
            self._latched_on = False
        self.commanded = closed

    def touch(self) -> None:
        """Look again at the next opportunity: an attribute was set."""
        self.next_at = -inf

    def advance(self, now: float) -> None:
        """Bring everything to `now`."""
        if not self.fitted:
            self.next_at = inf
            return
        seen = self.cp_asks_for_power and not self.cp_dead
        if seen is not self._cp_seen:
            self._cp_seen = seen
            self._cp_follows_at = now + (CP_FOUND_S if seen else self.cp_lost_s)
        if now >= self._cp_follows_at:
            self._cp_feeds, self._cp_follows_at = self._cp_seen, inf
        stopped = self.stop_a or self.stop_b or self.over_voltage
        self.chain_closed = self.chain_bridged or (not stopped and self.watchdog.is_closed(now))
        self._live = self.chain_closed and (self._cp_feeds or self.cp_bridged)
        self._latched_on = self._latched_on and self._live
        self.next_at = min(self._cp_follows_at, self.watchdog.next_change(now))

    @property
    def cp_asks_for_power(self) -> bool:
        """Whether the pilot is in C or D (and oscillates), as the comparators see it."""
        high_v, low_v = self.pilot.peaks
        oscillates = low_v < CP_SEES_NEGATIVE_V or not self.needs_oscillator
        return oscillates and CP_SEES_LOW_V < high_v < CP_SEES_HIGH_V
