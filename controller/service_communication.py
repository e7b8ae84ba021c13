"""The communication process of a real charger or vehicle: sockets, trace, and the way to realtime.

The core and its sockets are those of the simulated site; here they have a real interface, a trace
for each plug-in, and a realtime process that may go and come (`service_link`). Told to end, it ends
the session first, as its user would, and lets everything be safe when it is gone.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

from controller import __version__
from controller.config import ChargerConfig
from controller.driver_journal import NOTICE, WARNING, Journal
from controller.driver_notify import Notifier
from controller.errors import ConfigError
from controller.loop import Loop, LoopTimer, come_early, freeze_garbage, work_time
from controller.netns import interfaces
from controller.process_communication import Place, open_charger, open_link, open_vehicle
from controller.recorder import Recorder
from controller.service_link import RealtimeLink
from controller.service_trace import SessionTraces
from controller.signals import Phase, StopRequest
from controller.v2g.messages import din, sap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controller.communication import Communication
    from controller.config import CarConfig
    from controller.driver_communication import Sockets

LOOPBACK = "loopback"
LOOPBACK_MACS = {"evse": bytes.fromhex("024343530001"), "pev": bytes.fromhex("024343530002")}
NICE = -10
"""Early, but not SCHED_FIFO: peers' bytes can keep this process busy, and hard-timed work that is
always busy makes the kernel stop *all* of it for 50 ms in each second (sched_rt_runtime_us)."""
STOP_WITHIN_S = 4.0
"""A car ends within 2 s; who waits longer for it is killed by systemd."""
LOOK_S = 0.05
ALIVE_S = 0.02
"""The loop turns at least this often, as it beats, to say that it does."""
LATE_S = 0.03
"""Realtime believes a beat for 60 ms: half of that is worth a line."""


class CommunicationService:
    """What the process does besides its core: signs of life, and an end in good order."""

    def __init__(
        self,
        loop: Loop,
        core: Communication,
        sockets: Sockets,
        notifier: Notifier,
        say: Callable[[str, int], None],
    ) -> None:
        self._loop = loop
        self._core = core
        self._sockets = sockets
        self._notifier = notifier
        self._end_at: float | None = None
        self._status = ""
        self._say = say
        self._turned_at: float | None = None
        self._worked_s = 0.0
        loop.add(LoopTimer(ALIVE_S, self._alive, loop.now()))

    def stop(self, now: float) -> None:
        """End the session in good order, then the loop; a second time: at once."""
        if self._end_at is not None:
            self._loop.stop()
            return
        self._end_at = now + STOP_WITHIN_S
        self._notifier.send(self._notifier.words.stopping("ending the session"))
        self._sockets.node.feed(self._core.receive, StopRequest("the service ends"), now)
        self._loop.add(LoopTimer(LOOK_S, self._look, now))

    def _look(self, now: float) -> None:
        assert self._end_at is not None
        station = self._core.station
        if station.ended or station.phase is Phase.IDLE or now >= self._end_at:
            self._loop.stop()

    def _alive(self, now: float) -> None:
        self._notifier.alive(now)
        self._look_at_the_time(now)
        status = f"{self._core.station.state.value}"
        if status != self._status and self._end_at is None:
            self._status = status
            self._notifier.send(self._notifier.words.status(status))

    def _look_at_the_time(self, now: float) -> None:
        """Say when a turn came late: because of a turn of ours, or of a machine that was busy."""
        worked_s = work_time()
        if self._turned_at is not None:
            late_s = now - self._turned_at - ALIVE_S
            own_s = worked_s - self._worked_s
            if late_s > LATE_S:
                ms = f"{late_s * 1000:.0f} ms late, after {own_s * 1000:.0f} ms of own work"
                self._say(f"the loop turned {ms}", WARNING)
        self._turned_at, self._worked_s = now, worked_s


def serve_communication(
    side: str,
    config: ChargerConfig | CarConfig,
    *,
    interface: str | None,
    folder: Path,
    sdp_port: int,
) -> int:
    """Run the talking half until told to end; returns the exit code. Raises ControllerError."""
    loop, journal, notifier = Loop(), Journal(), Notifier()

    def say(text: str, level: int = NOTICE) -> None:
        journal.say(loop.now(), text, level)

    with contextlib.ExitStack() as resources:
        resources.callback(loop.close)
        resources.callback(notifier.close)
        where = _interface(interface, config)
        link, mac = (None, LOOPBACK_MACS[side])
        if where is not None:
            link, mac = open_link(where, modem=config.uses_modem)
        header = {"program": "ccs-pilot", "version": __version__, "side": side}
        traces = SessionTraces(folder, header, say)
        resources.callback(traces.close)
        place = Place(loop, Recorder(traces.record), where, link, mac, sdp_port)
        core, sockets = _open(config, place)
        prepare_codecs()
        resources.callback(sockets.close)
        realtime = RealtimeLink(loop, config.realtime.socket, sockets, traces.record, say)
        resources.callback(realtime.close)
        service = CommunicationService(loop, core, sockets, notifier, say)
        _hang_bell(loop, service, resources)
        freeze_garbage()
        for line in come_early(NICE):
            say(f"may be late on a busy machine: {line}", WARNING)
        notifier.send(notifier.words.ready(core.station.state.value))
        loop.run()
    return 0


def prepare_codecs() -> None:
    """Make the codec's functions before the first session: beats must not wait for them."""
    for codec in (sap.CODEC, din.CODEC):
        codec.prepare()


def _open(config: ChargerConfig | CarConfig, place: Place) -> tuple[Communication, Sockets]:
    if isinstance(config, ChargerConfig):
        return open_charger(config, place, None)
    return open_vehicle(config, place, None)


def _interface(name: str | None, config: ChargerConfig | CarConfig) -> str | None:
    """Return the interface, None for the loopback (or none at all). Raises ConfigError."""
    if name is None:
        if config.uses_modem or not isinstance(config, ChargerConfig) or config.uses_v2g:
            raise ConfigError("--interface is missing: which port leads to the powerline modem?")
        return None
    if name == LOOPBACK:
        if config.uses_modem:
            raise ConfigError('--interface loopback: there is no modem on it; [plc] modem = "none"')
        return None
    if name not in interfaces():
        names = ", ".join(interfaces())
        raise ConfigError(f"--interface {name}: there is none; this machine has {names}")
    return name


def _hang_bell(loop: Loop, service: CommunicationService, resources: contextlib.ExitStack) -> None:
    """Let signals only ring: the loop acts on them, between two callbacks."""
    bell, button = socket.socketpair()
    resources.enter_context(bell)
    resources.enter_context(button)
    button.setblocking(False)

    def ring(*_: object) -> None:
        with contextlib.suppress(OSError):
            button.send(b"!")

    def rung(now: float) -> None:
        for _ in bell.recv(64):
            service.stop(now)

    loop.watch(bell.fileno(), rung)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ring)
