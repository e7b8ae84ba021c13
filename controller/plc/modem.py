"""The own powerline modem: find it, give it keys, watch its link.

At the start the core asks for the firmware (VS_SW_VER) until the modem answers; when none does it
says so once and goes on asking, so that a modem plugged in later is found. A key (`SetModemKey`)
may come at any time, also before the modem was found: it is sent until it is confirmed, and a newer
key replaces an older one. Modems restart with each key and are then deaf for 3 to 5 s, which the
number of tries covers. Each key goes out under its own nonce, so that a late confirm of the key
before is not taken for this one's.

The link is polled beside the table: it has no states of its own, only the last answer. While the
modem restarts it does not answer; a link that was up is reported down after `LINK_SILENT_S`.

Frames that cannot be parsed are ignored here: the SLAC cores, which see the same frames, report
them.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.errors import WireError
from controller.machine import TableMachine, row
from controller.plc import wire
from controller.plc.wire_vendor import (
    VsPlLnkStatusCnf,
    VsPlLnkStatusReq,
    VsSwVerCnf,
    VsSwVerReq,
)
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    SendFrame,
    SetModemKey,
    WatchLink,
)

if TYPE_CHECKING:
    from controller.plc.layout import Mme

ANSWER_WAIT_S = 1.0
"""Wait for the modem before repeating: of 354 captured key confirms the slowest took 294 ms."""
PROBE_TRIES = 5
KEY_TRIES = 10
"""Covers the 3 to 5 s (and up to 7 s seen) in which a modem restarts with the key before."""
PROBE_AGAIN_S = 5.0
LINK_POLL_S = 0.2
"""As often as EVerest polls, until the link is there."""
LINK_WATCH_S = 0.8
"""Then slower: a lost link must be known within TP_match_leave (1 s)."""
LINK_SILENT_S = 2.0
"""A modem that does not tell its link for this long has none: it restarts, or lost its power."""
NO_FIRMWARE = "BootLoader"


class ModemState(Enum):
    """What the core is waiting for."""

    START = "start"
    PROBING = "probing"
    READY = "ready"
    SETTING_KEY = "setting key"
    SILENT = "silent"


S = ModemState
ANY = list(S)

TABLE = [
    row("set_key", ANY, S.SETTING_KEY, do="send_first_key"),
    row("timeout", S.START, S.PROBING, do="ask_version"),
    row("timeout", S.PROBING, "=", when="has_tries_left", do="ask_version"),
    row("timeout", S.PROBING, S.SILENT, do=["report_silence", "ask_version"]),
    row("timeout", S.SILENT, "=", do="ask_version"),
    row("version", [S.START, S.PROBING, S.SILENT], S.READY, when="runs_firmware", do="greet"),
    row("version", [S.START, S.PROBING], S.SILENT, do="report_boot_loader"),
    row("version", [S.READY, S.SETTING_KEY], None, when="runs_firmware", do="greet"),
    row("key_confirm", S.SETTING_KEY, S.READY, when="is_key_accepted", do="report_key_set"),
    row("key_confirm", S.SETTING_KEY, None, do="note_refusal"),  # the timeout sends it again
    row("timeout", S.SETTING_KEY, "=", when="has_tries_left", do="send_key"),
    row("timeout", S.SETTING_KEY, S.SILENT, do="report_key_failed"),
]


class Modem(TableMachine):
    """The core behind one FrameLink; `where` names the interface in its reports."""

    TABLE = TABLE
    INITIAL = S.START
    DEADLINE_S: ClassVar = {
        S.PROBING: ANSWER_WAIT_S,
        S.SETTING_KEY: ANSWER_WAIT_S,
        S.SILENT: PROBE_AGAIN_S,
    }
    ENDLESS = (S.START, S.READY)

    def __init__(self, mac: bytes, where: str = "the modem interface") -> None:
        super().__init__()
        self.mac = mac
        self.where = where
        self.modem_mac: bytes | None = None
        self.firmware = ""
        self.link_up = False
        self._key: SetModemKey | None = None
        self._nonce = 0
        self._tries_left = PROBE_TRIES
        self._refused = False
        self._poll_at: float | None = None
        self._link_heard_at = 0.0
        self._link_request = SendFrame(wire.build(wire.LOCAL_MODEM, mac, VsPlLnkStatusReq()))
        self._deadline_at = 0.0  # the first handle_timer starts the probing

    # --- verbs ---

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link; all that is not the own modem's answer is ignored."""
        if not wire.is_homeplug(frame) or frame[0:6] != self.mac:
            return []
        try:
            self.rx = wire.parse(frame)
        except WireError:
            return []
        self.now = now
        mme = self.rx.mme
        if self.modem_mac is not None and self.rx.src != self.modem_mac:
            return []  # a remote modem's answer says nothing about ours
        if isinstance(mme, VsSwVerCnf):
            self.version()
        elif isinstance(mme, wire.CmSetKeyCnf):
            self.key_confirm()
        elif isinstance(mme, VsPlLnkStatusCnf):
            self._note_link(mme.link == 1)
        return self.drain()

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take SetModemKey and WatchLink; other signals are ignored."""
        self.now = now
        if isinstance(signal, SetModemKey):
            self._key = signal
            self.set_key()
        elif isinstance(signal, WatchLink):
            self.link_up = False
            self._poll_at = now if signal.on else None
            self._link_heard_at = now
            self._poll()
        return self.drain()

    def handle_timer(self, now: float) -> list[Output]:
        """Repeat what was not answered in time, and poll the link."""
        self.out = super().handle_timer(now)
        self.now = now
        self._poll()
        return self.drain()

    def next_timer(self) -> float | None:
        """Earlier of the state's deadline and the next poll."""
        at, poll_at = self._deadline_at, self._poll_at
        if at is None or (poll_at is not None and poll_at < at):
            return poll_at
        return at

    # --- link ---

    def _poll(self) -> None:
        if self._poll_at is None or self.now < self._poll_at:
            return
        if self.link_up and self.now - self._link_heard_at >= LINK_SILENT_S:
            self._set_link(up=False)
        self._poll_at = self.now + LINK_POLL_S
        if self.link_up:
            silent_at = self._link_heard_at + LINK_SILENT_S
            self._poll_at = min(self.now + LINK_WATCH_S, silent_at)
        self.out.append(self._link_request)

    def _note_link(self, up: bool) -> None:
        if self._poll_at is None:
            return
        self._link_heard_at = self.now
        self._set_link(up)

    def _set_link(self, up: bool) -> None:
        if up != self.link_up:
            self.link_up = up
            self.out.append(LinkChanged(up))

    # --- triggers (declared for the type checker; the table replaces them) ---

    def set_key(self) -> bool:
        """A key is to be set."""
        return False

    def version(self) -> bool:
        """VS_SW_VER.CNF arrived."""
        return False

    def key_confirm(self) -> bool:
        """CM_SET_KEY.CNF arrived."""
        return False

    # --- guards ---

    def has_tries_left(self) -> bool:
        """Ask whether the request may be repeated."""
        return self._tries_left > 0

    def runs_firmware(self) -> bool:
        """Ask whether more than the boot loader runs."""
        return not self.rx.mme.version.startswith(NO_FIRMWARE)

    def is_key_accepted(self) -> bool:
        """Ask whether this confirms the key that was sent last (1 means yes on QCA modems)."""
        cnf: wire.CmSetKeyCnf = self.rx.mme
        stale = cnf.your_nonce[:2] == b"\xaa\xaa" and cnf.your_nonce != self._nonce_bytes()
        return cnf.result == wire.KEY_ACCEPTED and not stale

    # --- actions ---

    def ask_version(self) -> None:
        """Send VS_SW_VER.REQ."""
        self._tries_left -= 1
        self._send(VsSwVerReq())

    def greet(self) -> None:
        """Remember and report who answered, unless it is known."""
        if (self.rx.src, self.rx.mme.version) != (self.modem_mac, self.firmware):
            self.modem_mac, self.firmware = self.rx.src, self.rx.mme.version
            self.out.append(ModemFound(self.modem_mac, self.firmware))

    def report_silence(self) -> None:
        """Say that no modem answers."""
        self.out.append(ModemFailed(f"no modem answers on {self.where}"))

    def report_boot_loader(self) -> None:
        """Say that the modem waits for its firmware."""
        self.out.append(
            ModemFailed(f"the modem on {self.where} runs no firmware, only its boot loader")
        )

    def send_first_key(self) -> None:
        """Send a new key; all tries are before it."""
        self._nonce = (self._nonce + 1) & 0xFFFF
        self._tries_left = KEY_TRIES
        self._refused = False
        self.send_key()
        if self.modem_mac is None:
            self._send(VsSwVerReq())

    def send_key(self) -> None:
        """Send CM_SET_KEY.REQ."""
        if self._key is None:
            return
        self._tries_left -= 1
        self._send(
            wire.CmSetKeyReq(nid=self._key.nid, nmk=self._key.nmk, my_nonce=self._nonce_bytes())
        )

    def note_refusal(self) -> None:
        """Remember that the modem did answer."""
        self._refused = True

    def report_key_set(self) -> None:
        """Say that the modem has its key."""
        if self._key is not None:
            self.out.append(ModemKeySet(self._key.nid))

    def report_key_failed(self) -> None:
        """Say that the modem did not take the key, and look for a modem again."""
        self.modem_mac, self.firmware = None, ""
        how = "refuses its key" if self._refused else "does not confirm its key"
        self.out.append(
            ModemFailed(f"the modem on {self.where} {how} (CM_SET_KEY sent {KEY_TRIES} times)")
        )

    def _nonce_bytes(self) -> bytes:
        return b"\xaa\xaa" + self._nonce.to_bytes(2, "big")

    def _send(self, mme: Mme) -> None:
        self.out.append(SendFrame(wire.build(wire.LOCAL_MODEM, self.mac, mme)))
