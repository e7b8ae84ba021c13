"""The simulated site as processes: `make run`, and a bench for real peers.

This process holds what is not controller: the world (pilot circuit, power hardware, car), the modem
pair, the clock, the terminal. It starts the charger's two processes and the car's, each with a
socket to here, and gives them their hardware.

Time. For `ccs-pilot sim` the site hands out time in steps of one realtime period: inputs and `now`
go to every process, and the next step waits until all have said "done" and the wall clock allows it
(`--speed`). So a busy machine makes the run longer; it never makes a protocol timer expire. For a
real peer (`evse`, `pev`) the machine's clock rules and nobody waits.

Links. With TAP devices each communication process lives in a network of its own and this process is
the wire between them: it reads Ethernet frames, gives them to the simulated modems, and writes what
comes out at the other side. Without the privileges, HomePlug frames go through a Unix socket and IP
through loopback.

Faults. A process that dies, or says nothing for too long and is killed, ends the scene - but not at
once: the rest goes on for a moment, so that the other halves do what they do without it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.child import Child
from controller.driver_sniffer import Sniffer
from controller.errors import WireError
from controller.interlock_test import NOT_CONFIGURED, bench_text
from controller.loop import NEVER, Loop, LoopTimer, freeze_garbage, go_first
from controller.process_site import LOOPBACK, REALTIME_PRIORITY
from controller.report import Report
from controller.session_folder import SessionFolder
from controller.signals import (
    Output,
    SessionEnded,
    StopRequest,
)
from controller.sim import SIDES, World, host_mac
from controller.site_link import choose_link, free_udp_port, link_problems
from controller.site_pace import Pace
from controller.v2g.sdp import SDP_PORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controller.config import CarConfig, ChargerConfig
    from controller.view import View

CHILD_PATIENCE_S = 10
"""Wall seconds after which a process that says nothing is hung: it is killed."""
LONGEST_FRAME = 1514
SETTLE_S = 2.0
"""Session time between the end of the session and the end of the scene, or unplugging."""
PLUG_AT_S = 1.0
LONGEST_SESSION_S = 4 * 3600.0
LONGEST_AC_SESSION_S = 48 * 3600.0
GRACE_S = 60.0
"""Session time that a stop by the user may take; then the emergency stop is pressed."""
BENCH_GRACE_S = 4.0
"""The same with a real peer: a car ends within 2 s, and a service is killed if it takes long."""
UNPLUG_AFTER_EMERGENCY_S = 0.5
UNPLUG_AFTER_STOP_S = 5.0
"""Session time after the car has ended as its driver asked, until the driver takes the plug out:
a charger that was still pairing has nothing to end."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be played."""

    charger: ChargerConfig
    car: CarConfig
    charger_file: Path | None
    car_file: Path | None
    sides: tuple[str, ...] = ("evse", "pev")
    link: str = "auto"
    """auto, tap, loopback, or the name of a real interface."""
    speed: float | None = None
    """Session seconds per wall second; None: the machine's clock (for real peers)."""
    until: str = "unplug"
    folder: Path | None = None
    seed: int = 1
    details: dict[str, Any] = field(default_factory=dict)


class RunningSite:
    """A scene being played: the world, the processes, the clock and what is shown and kept."""

    def __init__(self, scene: Scene, world: World, view: View) -> None:
        self.scene = scene
        self.world = world
        self.view = view
        self.report = Report(watched=scene.sides[0])
        self.loop = Loop()
        self.deadline = NEVER
        """When the next step is due, on the wall clock (the loop wakes us by this)."""
        self.now = 0.0
        self.children: dict[str, Child] = {}
        self.stops = 0
        self.link, self.why = choose_link(scene.link)
        self.sdp_port = free_udp_port() if self.link == LOOPBACK else SDP_PORT
        self.step_s = scene.charger.realtime.period_s
        self._pace = Pace(self.step_s)
        self._later: list[Child] = []
        """Who has the present step after the others."""
        self._latest_step_s = 0.0
        self._origin = 0.0
        self._wall_at = self._began_at = 0.0
        self._told_at = 0.0
        self._end_at = NEVER
        self._unplug_at = NEVER
        is_ac = scene.charger.charger.mode == "ac"
        self._longest_s = LONGEST_AC_SESSION_S if is_ac else LONGEST_SESSION_S
        self._patience_ends_at = self._longest_s
        self._grace_s = GRACE_S if scene.speed is not None else BENCH_GRACE_S
        self._plugged = False
        self._ends_when_safe = False
        self._given_up = ""
        self._wires: dict[str, Callable[[bytes], int]] = {}
        self._button: socket.socket | None = None
        self._resources = contextlib.ExitStack()
        self._resources.callback(self.loop.close)

    # --- start and end ---------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Play the scene; returns the summary, which is also in the folder. Raises PortError."""
        with self._resources:
            self._folder = SessionFolder(
                self.scene.folder, self.scene.details, compose=self.link == LOOPBACK
            )
            self._folder.close_with(self._resources)
            self._hang_bell()
            self.view.say(f"link: {self.link} ({self.why})")
            for problem in link_problems(self.link):
                self.view.say(problem)
            if "evse" in self.scene.sides and self.scene.charger.charger.interlock == "none":
                self.view.say(f"!! {bench_text(NOT_CONFIGURED)}")
            self._start_children()
            self._start_clock()
            self.loop.run()
            self._inspect()
        return self._write_summary()

    def interrupt(self, *_: object) -> None:
        """Handle a signal of the terminal, at any instant: only ring, the loop does the rest."""
        if self._button is not None:
            with contextlib.suppress(OSError):
                self._button.send(b"!")

    def _hang_bell(self) -> None:
        bell, button = socket.socketpair()
        self._resources.enter_context(bell)
        self._resources.enter_context(button)
        button.setblocking(False)
        self._button = button

        def rung(now: float) -> None:
            for _ in bell.recv(64):
                self.stop()

        self.loop.watch(bell.fileno(), rung)

    def stop(self, why: str = "driver pressed stop") -> None:
        """Stop as the driver would, by the emergency stop, as soon as all is open, at once."""
        self.stops += 1
        self._pace.touch(self.now)
        if self.stops == 1 and self._plugged:
            self.view.say("stopping as the driver would (again: emergency stop)")
            side = "pev" if "pev" in self.children else "evse-communication"
            self.children[side].channel.send_signal(StopRequest(why))
            self._patience_ends_at = self.now - self._origin + self._grace_s
            if self._unplug_at < NEVER and self.scene.speed is None:
                self._unplug_at = self.now
        elif self.stops == 2 and self._plugged:
            self.view.say("emergency stop (again: end at once)")
            self._give_up("emergency stop pressed")
        elif self.stops == 3 and self._plugged and not self.report.safe:
            self._ends_when_safe = True
        else:
            self._given_up = self._given_up or "ended by the user"
            self.loop.stop()

    def _start_children(self) -> None:
        names = []
        if "evse" in self.scene.sides:
            names += ["evse-realtime", "evse-communication"]
        if "pev" in self.scene.sides:
            names.append("pev")
        near, far = ipc.pair()
        for name in names:
            self._start(name, near if name == "evse-realtime" else far)
        near.close()
        far.close()
        if self.scene.speed is None:
            self._sniff()
        for child in self.children.values():
            child.wait_ready()
            self._watch(child)
        if self.scene.speed is None:
            self._hurry()
        self.loop.add(LoopTimer(1.0, self._look_after, self.loop.now()))

    def _hurry(self) -> None:
        """Be as punctual as the hardware that this process stands in for; say what is refused."""
        refused = {f"{c.name}: {c.refused}" for c in self.children.values() if c.refused}
        freeze_garbage()
        refused |= {f"site: {text}" for text in go_first(REALTIME_PRIORITY)}
        for line in sorted(refused):
            self.view.say(f"may be late on a busy machine: {line}")

    def _start(self, name: str, ipc_socket: socket.socket) -> None:
        ours, theirs = ipc.pair()
        wire_ours, wire_theirs = ipc.pair()
        pev = name == "pev"
        config = self.scene.car_file if pev else self.scene.charger_file
        fds = [theirs.fileno(), ipc_socket.fileno(), wire_theirs.fileno()]
        command = [sys.executable, "-m", "controller.process", name, *map(str, fds)]
        command += ["--link", self.link, "--sdp-port", str(self.sdp_port)]
        if pev:
            command += ["--target-soc", str(self.scene.car.car.target_soc_percent)]
        command += ["--config", str(config)] if config else []
        command += ["--paced"] if self.scene.speed is not None else []
        child = Child(name, command, fds, ours)
        theirs.close()
        wire_theirs.close()
        self.children[name] = child
        if name != "evse-realtime" and self.link == LOOPBACK:
            self._wire(wire_ours, "pev" if pev else "evse")
        else:
            wire_ours.close()
        self._resources.callback(child.close)  # last: it ends before its wire breaks

    def _watch(self, child: Child) -> None:
        channel = child.channel
        channel.on[ipc.DONE] = lambda body, now: self._done(child)
        channel.on[ipc.RECORD] = lambda body, now: self._record(body)
        channel.on_signal(lambda item, now: self._command(child, item))
        channel.on_lost = lambda now: self._child_lost(child)

        def readable(now: float) -> None:
            child.silent_s = 0
            channel.receive(now)

        self.loop.watch(channel.fileno(), readable)
        if child.tap >= 0:
            self._tap(child.tap, "pev" if child.name == "pev" else "evse")

    def _look_after(self, wall: float) -> None:
        """Once a second: kill what has said nothing for too long (but not what only waits)."""
        self.view.look()
        for child in self.children.values():
            child.silent_s += 1
            hung = child.waiting_for or self.scene.speed is None
            if child.silent_s > CHILD_PATIENCE_S and hung and not child.channel.lost:
                self._given_up = self._given_up or (
                    f"the process {child.name} did not answer for {CHILD_PATIENCE_S} s"
                )
                child.process.kill()

    def _child_lost(self, child: Child) -> None:
        self.loop.watch(child.channel.fileno(), None)
        if child.name != "evse-communication":
            self.world.drop_watchdog("pev" if child.name == "pev" else "evse", self.now)
        for other in self.children.values():
            other.silent_s = 0
        self._end_with(f"the process {child.name} ended unexpectedly")
        if child.waiting_for:
            self._done(child)

    def _give_up(self, reason: str) -> None:
        """End now, safely: the emergency stop, and a moment for it to act."""
        self.world.press_emergency_stop()
        self._end_with(reason)

    def _end_with(self, reason: str) -> None:
        self._given_up = self._given_up or reason
        self._patience_ends_at = NEVER
        self._end_at = min(self._end_at, self.now + SETTLE_S)

    def _inspect(self) -> None:
        """Look at the hardware of a side whose own process can no longer tell."""
        inputs = {"evse-realtime": self.world.evse_inputs, "pev": self.world.pev_inputs}
        for name, read in inputs.items():
            if name in self.children and self.children[name].channel.lost:
                node = f"{name.partition('-')[0]}.hardware"
                self.observe(self.now - self._origin, node, "in", read(self.now), 0)

    def _write_summary(self) -> dict[str, Any]:
        summary = self.report.summary(self.scene.car.car.target_soc_percent)
        summary |= {"link": self.link, "link_reason": self.why, "folder": str(self._folder.path)}
        summary |= {"session_s": round(self.now - self._origin, 3), "given_up": self._given_up}
        summary["interrupted"] = self.stops > 0
        summary["wall_s"] = round(self.loop.now() - self._began_at, 3)
        summary["speed"] = self.scene.speed
        summary["latest_step_s"] = round(self._latest_step_s, 4)
        summary["energy_wh"] = round(self.world.energy_wh, 1)
        summary["not_kept"] = self._folder.not_kept
        if self._given_up and not self.report.reasons:
            summary["reason"] = self._given_up
        summary["summary_error"] = self._folder.write_summary(summary)
        return summary

    # --- time ------------------------------------------------------------------------------------

    def _start_clock(self) -> None:
        self._wall_at = self._began_at = self.loop.now()
        self._origin = 0.0 if self.scene.speed is not None else self._wall_at
        self.now = self._told_at = self._origin
        self.world.on_change = lambda: self._pace.touch(self.now)
        self.deadline = self._wall_at
        self.loop.add(self)

    def fire(self, wall: float) -> None:
        """Make one step: the world moves, every process gets its inputs and the time."""
        paced = self.scene.speed is not None
        quiet = paced and self._pace.is_quiet(self.now, steady=self.world.is_quiet)
        since_s = self._pace.step(quiet=quiet)
        self.now = self._origin + since_s if paced else wall
        self._script()
        self.world.advance(self.now)
        self._powerline(self.world.powerline.handle_timer(self.now))
        for name, child in self.children.items():
            if child.channel.lost:
                continue
            if name == "evse-realtime":
                child.channel.send_signal(self.world.evse_inputs(self.now))
            elif name == "pev":
                child.channel.send_signal(self.world.pev_inputs(self.now))
            if quiet and name == "evse-communication":
                self._later.append(child)
            elif paced:
                self._tell_time(child)
        if self.scene.speed is not None:
            step_s, self._told_at = self.now - self._told_at, self.now
            self._wall_at = max(self._wall_at + step_s / self.scene.speed, wall - 0.05)
            self.deadline = NEVER
            self._go_on()
        else:
            late_s = wall - self.deadline
            self._latest_step_s = max(self._latest_step_s, late_s)
            self.deadline += self.step_s * (1 + int(late_s / self.step_s))

    def _tell_time(self, child: Child) -> None:
        child.channel.send(ipc.TICK, ipc.TIME.pack(self.now))
        child.waiting_for = True

    def _done(self, child: Child) -> None:
        child.waiting_for = False
        self._go_on()

    def _go_on(self) -> None:
        """Make the next step when nobody is waited for any more."""
        if any(c.waiting_for for c in self.children.values()):
            return
        later, self._later = [c for c in self._later if not c.channel.lost], []
        for child in later:
            self._tell_time(child)
        if not later:
            self.deadline = self._wall_at

    def _script(self) -> None:
        """Plug in, unplug, end: what people do at the site."""
        at = self.now - self._origin
        if not self._plugged and at >= PLUG_AT_S:
            self._plugged = True
            self.world.plug()
        if self.now >= self._unplug_at:
            self._unplug_at = NEVER
            self.world.unplug()
            self._end_at = self.now + SETTLE_S
        if self.view.lost and not self.stops:
            self.stop("nobody reads the output")
        if self.now >= self._end_at or (self._ends_when_safe and self.report.safe):
            self.loop.stop()
        elif at >= self._patience_ends_at:
            self._lose_patience()

    def _lose_patience(self) -> None:
        if self.scene.speed is None and self.stops:
            self._patience_ends_at = NEVER
            if not self.report.safe:
                self.view.say(f"no end within {self._grace_s:g} s of the stop: emergency stop")
                self.world.press_emergency_stop()
            self._unplug_at = min(self._unplug_at, self.now + UNPLUG_AFTER_EMERGENCY_S)
        elif self.stops:
            self._give_up(f"no end within {self._grace_s:g} s of the stop")
        else:
            self._give_up(f"no end within {self._longest_s / 3600:g} hours")

    # --- what comes from the processes -----------------------------------------------------------

    def _command(self, child: Child, item: Output) -> None:
        self.world.carry_out("pev" if child.name == "pev" else "evse", item, self.now)

    def _record(self, body: bytes) -> None:
        at, node, direction, repeats, data = body.split(b" ", 4)
        try:
            item = signals_json.decode(data)
        except WireError:
            return
        self.observe(
            float(at) - self._origin, node.decode(), direction.decode(), item, int(repeats)
        )

    def observe(self, at: float, node: str, direction: str, item: Output, repeats: int) -> None:
        """Show, count and keep one record."""
        self._folder.trace.record(at, node, direction, item, repeats)
        self.report.observe(at, node, direction, item)
        self.view.observe(at, node, direction, item)
        self.world.observe(node, item, self.now)
        self._folder.capture.observe(at, node, item)
        if isinstance(item, SessionEnded):
            if self._ending():
                hurry = self.stops and self.scene.speed is None
                self._finish_at(self.now + (0.0 if hurry else SETTLE_S))
            elif self.stops and "pev" in self.report.reasons:
                self._finish_at(self.now + UNPLUG_AFTER_STOP_S)

    def _finish_at(self, when: float) -> None:
        if self.scene.until == "stop":
            self._end_at = min(self._end_at, when)
        else:
            self._unplug_at = min(self._unplug_at, when)

    def _ending(self) -> bool:
        """Both sides that take part have ended (a unilateral end gets its time to be noticed)."""
        return set(self.scene.sides) <= set(self.report.reasons)

    # --- the wire --------------------------------------------------------------------------------

    def _tap(self, fd: int, side: str) -> None:
        os.set_blocking(fd, False)
        self._resources.callback(os.close, fd)
        self._wires[side] = lambda frame: os.write(fd, frame)
        self.loop.watch(fd, lambda now: self._from_host(side, lambda: os.read(fd, 2048)))

    def _sniff(self) -> None:
        """On a real interface: read along for the capture."""
        ours = self.scene.sides[0]
        theirs = SIDES[1 - SIDES.index(ours)]
        try:
            sniffer = Sniffer(self.link)
        except OSError as error:
            self.view.say(f"no capture of {self.link}: {error.strerror} (needs CAP_NET_RAW)")
            return

        def readable(now: float) -> None:
            while (frame := sniffer.receive()) is not None:
                side = ours if frame[6:12] == sniffer.mac else theirs
                self._folder.capture.frame(frame, now - self._origin, side)

        self._resources.callback(sniffer.close)
        self.loop.watch(sniffer.fileno(), readable)

    def _wire(self, sock: socket.socket, side: str) -> None:
        sock.setblocking(False)
        self._resources.callback(sock.close)
        self._wires[side] = sock.send
        self.loop.watch(sock.fileno(), lambda now: self._from_host(side, lambda: sock.recv(2048)))

    def _from_host(self, side: str, read: Any) -> None:  # noqa: ANN401
        for _ in range(64):
            try:
                frame = read()
            except BlockingIOError:
                return
            except OSError:
                return
            if not frame:
                return
            self._folder.capture.frame(frame, self.now - self._origin, side)
            self._powerline(self.world.powerline.receive_frame(SIDES.index(side), frame, self.now))

    def _powerline(self, deliveries: list[tuple[int, bytes]]) -> None:
        for index, frame in deliveries:
            if frame[6:12] not in HOSTS:  # a modem's own: nobody has captured it yet
                self._folder.capture.frame(frame, self.now - self._origin, SIDES[index])
            send = self._wires.get(SIDES[index])
            if send is not None:
                with contextlib.suppress(OSError):  # a full queue loses frames, like any wire
                    send(frame)


HOSTS = frozenset(map(host_mac, SIDES))
