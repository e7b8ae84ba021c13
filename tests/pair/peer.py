"""A communication process of few words, for faults that a real one does not have.

It takes a vehicle to the phase it is told, with real beats and requests through the real socket. At
SIGUSR1 it does what `--then` says. What it does not do is V2G: S2 and the vehicle's contactors are
moved by the rig.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from controller import ipc, signals_json
from controller.driver_notify import Notifier
from controller.loop import Loop, LoopTimer
from controller.signals import (
    CableCheckState,
    ContactorReading,
    ContactorRequest,
    DutyRequest,
    Heartbeat,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    PowerReport,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_S = 0.02
RETRY_S = 0.05
MAXIMUM_V = 420.0
CHARGE_A = 20.0


class Peer:
    """Leads a vehicle to a phase, then misbehaves."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.loop = Loop()
        self.channel: ipc.Channel | None = None
        self.phase = Phase.IDLE
        self._path = args.socket
        self._goal = Phase[args.phase]
        self._voltage_v = args.voltage
        self._then = FAULTS[args.then]
        self._sequence = 0
        self._turned_at = self.loop.now()
        self._beat_at = 0.0
        self._quiet = False
        self._wanted = False
        self._has_struck = False
        self._notifier = Notifier()
        self.loop.add(LoopTimer(BEAT_S, self._beat, self.loop.now()))
        signal.signal(signal.SIGUSR1, self._ring)

    def _ring(self, *_: object) -> None:
        self._wanted = True

    def run(self) -> None:
        self.loop.run()

    def _beat(self, now: float) -> None:
        late_ms = (now - self._turned_at - BEAT_S) * 1e3
        self._turned_at = now
        if late_ms > 30.0:  # as the real one says it
            sys.stderr.write(f"the loop turned {late_ms:.0f} ms late, after 0 ms of own work\n")
        if self.channel is None:
            self._come()
        if self._wanted:
            self._wanted = False
            self._has_struck = True
            tell(f"beat {self._beat_at:.6f}")
            self._then(self)
        if not self._quiet:
            self.beat(self.loop.now())

    def beat(self, now: float) -> None:
        self._sequence += 1
        self._beat_at = now
        self.ask(Heartbeat(self._sequence, self.phase, now))

    def ask(self, *requests: Output) -> None:
        if self.channel is not None:
            for request in requests:
                self.channel.send_signal(request)

    def send(self, packet: bytes) -> None:
        if self.channel is not None:
            self.channel.send(packet[:1], packet[1:])

    def _come(self) -> None:
        try:
            self.channel = ipc.Channel(ipc.connect(self._path))
        except OSError:
            return
        self.channel.on_signal(self._hear)
        self.channel.on[ipc.RECORD] = lambda body, now: None
        self.channel.on_lost = self._lost
        self.loop.watch(self.channel.fileno(), self.channel.receive)
        self._notifier.send(self._notifier.words.ready())

    def _lost(self, now: float) -> None:
        assert self.channel is not None
        self.loop.watch(self.channel.fileno(), None)
        self.channel.close()
        self.channel = None
        self.phase = Phase.IDLE
        self._quiet = self._has_struck  # then it had its say; else it was turned away
        tell(f"lost {self._beat_at:.6f}")

    # --- the way to a phase ----------------------------------------------------------------------

    def _hear(self, item: Output, now: float) -> None:
        if isinstance(item, PilotChanged):
            self._pilot(item.state.value)
        elif isinstance(item, PowerReport):
            self._power(item)

    def _enter(self, phase: Phase, *requests: Output) -> None:
        self.phase = phase
        self.beat(self.loop.now())
        self.ask(*requests)

    def _pilot(self, state: str) -> None:
        if self.phase is Phase.IDLE and state == "B1":
            self._enter(Phase.CONNECTED, OutputRequest(Phase.CONNECTED), DutyRequest(0.05))
        elif self.phase is Phase.CONNECTED and state == "C2" and self._goal is not self.phase:
            request = OutputRequest(Phase.CABLE_CHECK, self._voltage_v, 2.0, MAXIMUM_V)
            self._enter(Phase.CABLE_CHECK, request, ContactorRequest(closed=True))

    def _power(self, report: PowerReport) -> None:
        if self.phase is self._goal:
            return
        if self.phase is Phase.CABLE_CHECK and report.cable_check is CableCheckState.PASSED:
            request = OutputRequest(Phase.PRE_CHARGE, self._voltage_v, 2.0, MAXIMUM_V)
            self._enter(Phase.PRE_CHARGE, request)
        elif self.phase is Phase.PRE_CHARGE and abs(report.voltage_v - self._voltage_v) < 10.0:
            request = OutputRequest(Phase.CHARGE, self._voltage_v + 10.0, CHARGE_A, MAXIMUM_V)
            self._enter(Phase.CHARGE, request)
        elif self.phase is Phase.CHARGE and report.current_a > CHARGE_A / 2:
            self._enter(Phase.STOPPING, OutputRequest(Phase.STOPPING))
            tell("stopping")

    # --- misbehaviour ----------------------------------------------------------------------------

    def fall_silent(self) -> None:
        """Alive, connected, and never heard of again."""
        self._quiet = True

    def stop_beating_but_ask(self) -> None:
        """Requests go on, beats do not."""
        self._quiet = True
        request = OutputRequest(Phase.CHARGE, self._voltage_v + 10.0, CHARGE_A, MAXIMUM_V)
        self.loop.add(LoopTimer(BEAT_S, lambda now: self.ask(request), self.loop.now()))

    def repeat_old_beats(self) -> None:
        """Beats without a new number."""
        self._quiet = True
        beat = Heartbeat(self._sequence, self.phase, None)
        self.loop.add(LoopTimer(BEAT_S, lambda now: self.ask(beat), self.loop.now()))

    def beat_with_an_old_stamp(self) -> None:
        """Beats that were sent long ago, as if they had waited on their way."""
        self._quiet = True
        at = self._beat_at

        def beat(now: float) -> None:
            self._sequence += 1
            self.ask(Heartbeat(self._sequence, self.phase, at))

        self.loop.add(LoopTimer(BEAT_S, beat, self.loop.now()))

    def disagree(self) -> None:
        """Beats that name another phase than the requests."""
        self.phase = Phase.CONNECTED if self.phase is not Phase.CONNECTED else Phase.CHARGE

    def send_garbage(self) -> None:
        for packet in (b"\x00", b"S{", b"Sx" * 400, os.urandom(300), b"T12345678", b"R", b"S[1]"):
            self.send(packet)

    def send_readings(self) -> None:
        """Pretend to be the hardware."""
        for _ in range(10):
            self.ask(ContactorReading(closed=False, taken_at=self.loop.now()))

    def send_long(self) -> None:
        for _ in range(10):
            self.send(b"S" + b"9" * 3000)

    def send_empty(self) -> None:
        """A packet of no bytes."""
        assert self.channel is not None
        self.channel.sock.send(b"")

    def flood(self) -> None:
        """As much as fits, again and again."""
        packet = signals_json.encode(DutyRequest(0.05))

        def pour(now: float) -> None:
            if self.channel is None:
                return
            before = self.channel.dropped
            while self.channel.dropped == before:
                self.channel.send(ipc.SIGNAL, packet)

        self.loop.add(LoopTimer(0.002, pour, self.loop.now()))

    def close(self) -> None:
        """Hang up and stay alive."""
        if self.channel is not None:
            self._lost(0.0)

    def crash(self) -> None:
        os.abort()


def tell(line: str) -> None:
    """Tell the rig: when the last beat was."""
    os.write(1, line.encode() + b"\n")


FAULTS: dict[str, Callable[[Peer], None]] = {
    "silence": Peer.fall_silent,
    "requests-only": Peer.stop_beating_but_ask,
    "old-beats": Peer.repeat_old_beats,
    "old-stamps": Peer.beat_with_an_old_stamp,
    "disagreement": Peer.disagree,
    "garbage": Peer.send_garbage,
    "readings": Peer.send_readings,
    "long-packets": Peer.send_long,
    "empty-packet": Peer.send_empty,
    "flood": Peer.flood,
    "hang-up": Peer.close,
    "crash": Peer.crash,
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--phase", default="CHARGE")
    parser.add_argument("--voltage", type=float, required=True)
    parser.add_argument("--then", choices=FAULTS, default="silence")
    Peer(parser.parse_args()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
