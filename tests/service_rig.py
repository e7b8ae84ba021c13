"""A realtime service on a simulated charger, in time that passes only when a test says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from controller import ipc, signals_json
from controller.config import CarConfig, ChargerConfig, parse
from controller.driver_journal import Journal
from controller.driver_notify import Notifier
from controller.ipc_door import Door
from controller.realtime import EvseRealtime
from controller.realtime_pev import PevRealtime
from controller.rest import Rest
from controller.service_realtime import RealtimeService
from controller.signals import (
    REQUESTS,
    ContactorRequest,
    DutyRequest,
    Heartbeat,
    OpenContactors,
    Output,
    OutputRequest,
    Phase,
    SetDuty,
    SetOutput,
    SetWatchdog,
)
from controller.sim import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PERIOD_S = 0.005
BEAT_S = 0.02
SITE = "[site]\nisolation_test_s = 0.1\nmodule_ramp_v_per_s = 4000\n"


class Clock:
    """Passes by sleeping, and by what a test says that something took."""

    def __init__(self) -> None:
        self.ns = 50_000_000_000

    def now_ns(self) -> int:
        return self.ns

    def sleep_until(self, at_ns: int) -> bool:
        self.ns = max(self.ns, at_ns)
        return True

    def take(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)

    @property
    def now(self) -> float:
        return self.ns / 1e9


class SimHardware:
    """`Hardware` on a simulated world, without wires."""

    def __init__(self, world: World, side: str) -> None:
        self.world = world
        self.side = side
        self.calls: list[str] = []
        self.kicks = 0
        self.opened_at = 0.0
        """When the coils were switched off last."""
        self.trouble = ""
        self.before_read: Callable[[], object] = lambda: None

    def read(self, now: float) -> Output:
        self.before_read()
        self.calls.append("read")
        self.world.advance(now)
        return self.world.evse_inputs(now) if self.side == "evse" else self.world.pev_inputs(now)

    def carry_out(self, command: Output, now: float) -> None:
        self.calls.append(type(command).__name__)
        if isinstance(command, OpenContactors):
            self.opened_at = now
        if not isinstance(command, SetWatchdog):  # the service kicks, or not
            self.world.carry_out(self.side, command, now)

    def kick(self) -> None:
        self.calls.append("kick")
        self.kicks += 1
        if self.side == "evse":
            self.world.interlock.watchdog.edge(self.world.circuit.now or 0.0)
            self.world.interlock.touch()

    def problem(self) -> str:
        return self.trouble

    def make_safe(self) -> None:
        self.calls.append("make_safe")
        now = self.world.circuit.now or 0.0
        for command in (SetOutput(0.0, 0.0, on=False), OpenContactors("safe"), SetDuty(1.0)):
            self.world.carry_out(self.side, command, now)

    def close(self) -> None:
        self.make_safe()


class Peer:
    """A communication process of few words: beats, asks, and keeps what it hears."""

    def __init__(self, path: str) -> None:
        self.channel = ipc.Channel(ipc.connect(path))
        self._phase = Phase.IDLE
        self.sequence = 0
        self.beats = True
        self.beat_at = 0.0
        self.reports: list[Output] = []
        self.records: list[tuple[float, str, str, int, Output]] = []
        self.channel.on_signal(lambda item, now: self.reports.append(item))
        self.channel.on[ipc.RECORD] = self._keep

    @property
    def phase(self) -> Phase:
        """What it believes; a change is told with the next turn."""
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._phase = phase
        self.beat_at = 0.0

    def _keep(self, body: bytes, now: float) -> None:
        at, node, direction, repeats, data = body.split(b" ", 4)
        record = (float(at), node.decode(), direction.decode(), int(repeats))
        self.records.append((*record, signals_json.decode(data)))

    def turn(self, now: float) -> None:
        if self.beats and now >= self.beat_at + BEAT_S - 1e-9:
            self.sequence += 1
            self.beat_at = now
            self.channel.send_signal(Heartbeat(self.sequence, self.phase, now))
        self.channel.receive(now)

    def ask(self, *requests: Output) -> None:
        for request in requests:
            self.channel.send_signal(request)


class Rig:
    """World, hardware, service, and the processes that come to it."""

    def __init__(
        self,
        folder: Path,
        side: str = "evse",
        period_s: float = PERIOD_S,
        *,
        interlock: bool = True,
        rest_s: float = 0.0,
    ) -> None:
        self.clock = Clock()
        self.wakes_at_ns: int | None = None
        """When a plug with a live pilot ends a pause."""
        self.folder = folder
        self.path = str(folder / "realtime.sock")
        charger, car = parse(ChargerConfig, SITE, "site"), CarConfig()
        self.world = World(charger, car)
        self.world.interlock.fitted = interlock
        self.world.isolation.period_s = 0.1
        self.hardware = SimHardware(self.world, side)
        self.errors = folder / "errors"
        self._fd = os.open(self.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.notifier = Notifier()
        self.core = EvseRealtime(hardware_interlock=interlock) if side == "evse" else PevRealtime()
        self.service = RealtimeService(
            side,
            self.core,
            self.hardware,
            Door(self.path, REQUESTS),
            period_s=period_s,
            clock=self.clock,
            journal=Journal(self._fd),
            notifier=self.notifier,
            rest=Rest(rest_s, self._pause) if rest_s else None,
        )
        self.peers: list[Peer] = []
        """Those who take part in time."""
        self._everyone: list[Peer] = []
        self.service.loop.start()
        self.until(lambda: self.core.interlock_test.is_finished)

    def _pause(self, until_ns: int) -> int:
        if self.wakes_at_ns is not None and self.wakes_at_ns < until_ns:
            until_ns, self.wakes_at_ns = max(self.wakes_at_ns, self.clock.ns), None
            self.world.plug()
        self.clock.ns = max(self.clock.ns, until_ns)
        return self.clock.ns

    @property
    def now(self) -> float:
        return self.clock.now

    @property
    def is_closed(self) -> bool:
        return self.world.circuit.evse_contactors.is_closed

    @property
    def is_safe(self) -> bool:
        return not self.is_closed and not self.world.circuit.setpoint.on

    def come(self) -> Peer:
        peer = Peer(self.path)
        self.peers.append(peer)
        self._everyone.append(peer)
        return peer

    def run(self, seconds: float) -> None:
        """Let periods pass; those who came beat in each."""
        end = self.now + seconds - 1e-9
        while self.now < end:
            self.turn()

    def turn(self) -> None:
        for peer in self.peers:
            peer.turn(self.now)
        self.service.loop.turn()

    def until(self, done: Callable[[], bool], within_s: float = 10.0) -> float:
        """Let periods pass until something is so; returns how long that took."""
        began = self.now
        while not done():
            assert self.now - began < within_s, f"not within {within_s} s: {self.said}"
            self.turn()
        return self.now - began

    def connect(self) -> Peer:
        """Plug in and have a peer lead the vehicle to C2."""
        peer = self.come()
        self.run(0.2)
        self.world.plug()
        self.run(0.1)
        peer.phase = Phase.CONNECTED
        peer.ask(OutputRequest(Phase.CONNECTED), DutyRequest(0.05))
        self.run(0.2)
        self.world.pilot.s2_closed = True
        self.run(0.1)
        return peer

    def check_cable(self, voltage_v: float = 400.0) -> Peer:
        """Connect and have a peer begin the cable check, up to closed contacts."""
        peer = self.connect()
        peer.phase = Phase.CABLE_CHECK
        request = OutputRequest(Phase.CABLE_CHECK, voltage_v, 2.0, voltage_v + 20.0)
        peer.ask(request, ContactorRequest(closed=True))
        self.until(lambda: self.is_closed)
        return peer

    def charge(self) -> Peer:
        """Plug in and have a peer charge at 20 A."""
        peer = self.check_cable()
        self.until(lambda: self.core.stage.cable_check.value == "passed")  # type: ignore[union-attr]
        peer.phase = Phase.PRE_CHARGE
        voltage_v = self.world.battery.open_voltage_v
        peer.ask(OutputRequest(Phase.PRE_CHARGE, voltage_v, 2.0, 420.0))
        self.until(lambda: abs(self.world.circuit.voltage_v - voltage_v) < 5.0)
        self.world.circuit.inlet_contactors.set_closed(True)
        peer.phase = Phase.CHARGE
        peer.ask(OutputRequest(Phase.CHARGE, 400.0, 20.0, 420.0))
        self.until(lambda: self.world.circuit.current_a > 10.0)
        return peer

    @property
    def said(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def close(self) -> None:
        for peer in self._everyone:
            peer.channel.close()
        self.service._door.close()
        self.notifier.close()
        os.close(self._fd)
