"""The realtime process of a real charger or vehicle: hardware, core and door in one fixed period.

Theory of operation. `PeriodLoop` wakes this process at absolute instants. In each period, in this
order: the hardware is read; the core decides on it and its commands are carried out; requests of
the communication process are taken, a bounded number; reports go out; the external watchdog gets
its edge, because all of this is complete; systemd is told; and with no vehicle there, now and then,
garbage is collected. Each of these is a named section: an overrun names the one that caused it.

After the start nothing here opens or writes a file. What is to be kept goes to the communication
process as records, which writes the trace; what matters (all that the core commands and reports) is
also kept in a bounded backlog and told again to a communication process that comes anew, so the
reason for which the contactors opened is known however dead that process was. The same reasons go
to the journal, one line each, without ever waiting for it.

An exception is a bug of ours: the hardware is made safe and the process ends; systemd starts it
anew, and a new core permits nothing.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.driver_journal import ERROR, NOTICE, WARNING
from controller.errors import WireError
from controller.loop import Node
from controller.period import PeriodLoop
from controller.port import MidPeriod
from controller.realtime_pev import PevRealtime
from controller.recorder import CYCLIC, Backlog, Recorder
from controller.signals import (
    CurrentOffered,
    InletPilotChanged,
    InterlockReport,
    InterlockTested,
    LoopReport,
    Noted,
    OpenContactors,
    Output,
    PilotChanged,
    SetWatchdog,
    StopRequest,
)

if TYPE_CHECKING:
    from controller.driver_guard import Guard
    from controller.driver_journal import Journal
    from controller.driver_notify import Notifier
    from controller.driver_watchdog import Watchdog
    from controller.ipc_door import Door
    from controller.period import PeriodClock
    from controller.port import Hardware
    from controller.realtime_ac import ChargerCore
    from controller.rest import Rest

LOOP_REPORT_S = 1.0
PROMPT_S = 0.005
"""In a longer period deadlines are looked at half way, too: 61 ms of silence, 10 ms until somebody
looks, and 29 ms are left for the contacts."""
LEAST_REPORT_S = 0.1
"""Overruns are reported when they happen, but no more often than this."""
BACKLOG_PER_PERIOD = 8
GARBAGE_S = 300.0
"""Garbage is collected this often at most: each leaves a few objects of the cores' machines."""
LAST_PERIODS_S = 0.1
"""What the core commands at the end gets this long to show, before everything is made safe."""


class RealtimeService:
    """Binds a realtime core to its hardware, its door and its period."""

    def __init__(
        self,
        side: str,
        core: ChargerCore | PevRealtime,
        hardware: Hardware,
        door: Door,
        *,
        period_s: float,
        clock: PeriodClock,
        journal: Journal,
        notifier: Notifier,
        watchdog: Watchdog | None = None,
        rest: Rest | None = None,
        guard: Guard | None = None,
    ) -> None:
        """`side` is evse or pev; `watchdog` restarts the machine (none: nobody does).

        `rest` pauses while the core allows it (a vehicle unit's); `guard` is only looked at.
        """
        self.core = core
        self._mid_period = hardware.mid_period if isinstance(hardware, MidPeriod) else None
        wanted = self._mid_period is not None or period_s > PROMPT_S
        halfway = self._halfway if wanted else None
        may_rest = None if rest is None else self._may_rest
        self.loop = PeriodLoop(period_s, self._sections(), clock, halfway, may_rest)
        self._rest = rest
        self.node = Node(f"{side}.realtime", core, self._carry_out, Recorder(self._record))
        self._hardware = hardware
        self._door = door
        self._journal = journal
        self._notifier = notifier
        self._watchdog = watchdog
        self._guard = guard
        self._backlog = Backlog()
        self._inputs: Output | None = None
        self._toggling = SetWatchdog not in core.TO_HARDWARE
        self._fault_said = ""
        """A core that proves the watchdog says when; before that its chain has to be open."""
        self._ready = False
        self._stop_wanted = False
        self._end_at: float | None = None
        self._report_at = 0.0
        self._reported_overruns = 0
        self._collect_at: float | None = None
        self._problem = ""
        door.on_signal = self._take
        door.on_found = self._found
        door.on_lost = self._lost

    def _sections(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("reading the hardware", self._read),
            ("deciding and commanding", self._decide),
            ("requests of communication", self._requests),
            ("reports", self._reports),
            ("watchdogs", self._kick),
            ("systemd", self._notify),
            ("garbage collection", self._collect),
        )

    def run(self) -> None:
        """Run until `stop`; whatever happens, the hardware is left safe."""
        try:
            self.loop.run()
        finally:
            self._hardware.make_safe()

    def stop(self, *_: object) -> None:
        """End in good order; made for a signal's handler, which may come at any instant."""
        self._stop_wanted = True

    # --- sections of a period --------------------------------------------------------------------

    def _read(self, now: float) -> None:
        self._inputs = self._hardware.read(now)

    def _decide(self, now: float) -> None:
        if self._rest is not None and self._rest.warming:
            return
        self.node.feed(self.core.receive, self._inputs, now)
        if self.node.deadline <= now:
            self.node.fire(now)

    def _halfway(self, now: float) -> None:
        if self._mid_period is not None:
            self._mid_period(now)
        if self.node.deadline <= now:
            self.node.fire(now)

    def _requests(self, now: float) -> None:
        if self._end_at is None:
            self._door.serve(now)

    def _reports(self, now: float) -> None:
        self._tell_backlog()
        overran = self.loop.overruns != self._reported_overruns
        if now < self._report_at and not (overran and now >= self._least_at):
            return
        if overran:
            count = self.loop.overruns - self._reported_overruns
            what = "a period" if count == 1 else f"{count} periods, at worst one,"
            if self._journal.say(now, f"{what} took too long: {self.loop.worst}", WARNING):
                self.loop.forget_worst()
        self._report(now)

    def _kick(self, now: float) -> None:
        if self._toggling and not (self._rest is not None and self._rest.resting):
            self._hardware.kick()
        if self._watchdog is not None:
            self._watchdog.feed(now)

    def _notify(self, now: float) -> None:
        if self._stop_wanted:
            self._end(now)
        elif not self._ready:
            self._ready = True
            self._notifier.send(self._notifier.words.ready(self._status()))
        self._notifier.alive(now)

    def _collect(self, now: float) -> None:
        if self._collect_at is None:
            self._collect_at = now + GARBAGE_S
        elif now >= self._collect_at and self.core.may_pause:
            self._collect_at = now + GARBAGE_S
            gc.collect()

    def _may_rest(self, due_ns: int) -> int:
        """Let the next period come later while nothing can happen."""
        assert self._rest is not None
        allowed = (
            isinstance(self.core, PevRealtime) and self.core.may_rest and not self._stop_wanted
        )
        return self._rest.next_due(due_ns, allowed=allowed)

    # --- reports ---------------------------------------------------------------------------------

    @property
    def _least_at(self) -> float:
        return self._report_at - LOOP_REPORT_S + LEAST_REPORT_S

    def _report(self, now: float) -> None:
        self._report_at = now + LOOP_REPORT_S
        self._reported_overruns = self.loop.overruns
        problem = self._hardware.problem()
        unguarded = "" if self._guard is None else self._guard.problem()
        if unguarded:
            problem = f"{problem}; {unguarded}" if problem else unguarded
        if problem != self._problem:
            self._problem = problem
            self._note(now, f"hardware: {problem or 'all is well again'}", ERROR)
        lateness = self.loop.lateness
        p50, p99, p999 = lateness.percentiles_s(50, 99, 99.9)
        report = LoopReport(
            self.loop.periods,
            self.loop.skipped,
            lateness.worst_ns / 1e9,
            self.loop.culprit,
            problem,
            p50,
            p99,
            p999,
        )
        self._door.send_signal(report)  # recorded where it arrives
        if self._ready:
            self._notifier.send(self._notifier.words.status(self._status()))

    def _status(self) -> str:
        late = self.loop.lateness.worst_ns / 1e6
        peer = "without" if self._door.channel is None else "with"
        closed = "CLOSED" if self.core.contactors.is_commanded else "open"
        text = f"contactors {closed}, {peer} communication, {self.loop.skipped} periods skipped"
        return f"{text}, latest {late:.1f} ms{'; ' * bool(self._problem)}{self._problem}"

    def _tell_backlog(self) -> None:
        for _ in range(BACKLOG_PER_PERIOD):
            packet = self._backlog.peek()
            if packet is None or not self._door.send(ipc.RECORD, packet):
                return
            self._backlog.taken()

    # --- what comes and goes ---------------------------------------------------------------------

    def _take(self, item: Output, now: float) -> None:
        self.node.feed(self.core.receive, item, now)

    def _found(self, who: str, now: float) -> None:
        self._backlog.rewind()
        self._note(now, f"the communication process is there: {who}", NOTICE)
        self.node.finish(self.core.communication_found(now), now)

    def _lost(self, why: str, now: float) -> None:
        self._note(now, why, WARNING)
        self.node.finish(self.core.communication_lost(now), now)

    def _carry_out(self, output: Output, now: float) -> None:
        core = self.core
        if isinstance(output, core.TO_HARDWARE):
            self._hardware.carry_out(output, now)
        elif isinstance(output, core.TO_COMMUNICATION):
            self._door.send_signal(output)
        if isinstance(output, SetWatchdog):
            self._toggling = output.toggling
        self._say(output, now)

    def _say(self, output: Output, now: float) -> None:
        """Put into the journal what a person wants to find there."""
        if isinstance(output, OpenContactors):
            self._journal.say(now, f"contactors opened: {output.reason}", ERROR)
        elif isinstance(output, InterlockReport):
            self._say_fault(output.latched, now)
        elif isinstance(output, StopRequest):
            self._journal.say(now, f"the session is asked to end: {output.reason}", ERROR)
        elif isinstance(output, CurrentOffered):
            self._journal.say(now, _offer_text(output), NOTICE)
        elif isinstance(output, InterlockTested):
            text = f"interlock self-test: {output.part}: {output.detail}"
            self._journal.say(now, text, NOTICE if output.ok else ERROR)
        elif isinstance(output, PilotChanged):
            self._journal.say(now, f"pilot {output.state.value}", NOTICE)
        elif isinstance(output, InletPilotChanged):
            text = f"inlet {'plugged' if output.plugged else 'empty'}, duty {output.duty:.0%}"
            self._journal.say(now, f"{text}{': ' * bool(output.fault)}{output.fault}", NOTICE)

    def _say_fault(self, latched: str, now: float) -> None:
        """Tell a latched fault once; a report comes with each change of any other reason, too."""
        if latched and latched != self._fault_said:
            self._journal.say(now, f"fault: {latched}", ERROR)
        self._fault_said = latched

    def _note(self, now: float, what: str, level: int) -> None:
        self._journal.say(now, what, level)
        self._record(now, self.node.name, "out", Noted(what), 0)

    def _record(self, now: float, node: str, direction: str, item: Any, repeats: int) -> None:  # noqa: ANN401
        """Hand one record on: what matters by way of the backlog, the rest now or never."""
        matters = direction == "out" and type(item) not in CYCLIC
        if not matters and self._door.channel is None:
            return
        try:
            body = signals_json.encode(item)
        except WireError:  # a reading that is no number
            body = signals_json.encode(Noted(f"{item!r:.300}"))
        packet = f"{now:.6f} {node} {direction} {repeats} ".encode() + body
        if matters:
            self._backlog.put(packet)
        else:
            self._door.send(ipc.RECORD, packet)

    def _end(self, now: float) -> None:
        """Let the core switch off and open, give that a moment, then leave the loop."""
        if self._end_at is None:
            self._end_at = now + LAST_PERIODS_S
            self._note(now, "the realtime process is told to end", NOTICE)
            self._notifier.send(self._notifier.words.stopping("making everything safe"))
            self.node.finish(self.core.communication_lost(now), now)
        elif now >= self._end_at:
            self.loop.stop()


def _offer_text(offer: CurrentOffered) -> str:
    """Say what an AC charger offers and what limits it, or why it offers nothing."""
    if offer.current_a:
        return f"offers {offer.current_a:g} A (limit: {offer.limited_by})"
    return f"offers no current: {offer.limited_by}"
