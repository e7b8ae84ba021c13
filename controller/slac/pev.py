"""SLAC at the vehicle: be heard by all chargers in earshot, and join the one that hears us best.

A try: ask for parameters (CM_SLAC_PARM.REQ), announce the sounds three times, send ten sounds 20 to
50 ms apart, collect what the chargers measured until TT_EV_atten_results after the first
announcement, take the lowest mean, and ask that charger for its network. Real chargers answer 9 to
600 ms after the last sound, and report 9 or even 2 sounds: all of that is taken.

A try that failed is repeated after TT_matching_rate, for TT_matching_repetition; C_conn_max_match
such windows, then `SlacFailed` says where the last try ended. The charger's modem may be restarting
with a fresh key while we ask, so the first tries may well be lost.

The network of CM_SLAC_MATCH.CNF goes to the own modem exactly as sent: one real charger in five has
a NID that does not derive from its key.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.machine import row
from controller.plc import wire
from controller.signals import (
    ModemFailed,
    ModemKeySet,
    Output,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import attenuation, timing
from controller.slac.core import SlacCore

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plc.layout import Mme

RUN_ID_LENGTH = 8
MAX_CHARGERS = 16
"""Answers that are kept; more chargers are not in earshot of one cable."""


class PevSlacState(Enum):
    """Where matching stands."""

    IDLE = "idle"
    WAIT_PARM_CNF = "looking for a charger"
    STARTING = "announcing sounds"
    SOUNDING = "sounding"
    COLLECTING = "collecting attenuations"
    WAIT_MATCH_CNF = "asking for the network"
    WAIT_KEY = "waiting for the own modem"
    MATCHED = "matched"
    PAUSED = "pause before the next try"
    FAILED = "failed"


S = PevSlacState
ANY = list(S)
HEARD = [S.STARTING, S.SOUNDING, S.COLLECTING]

TABLE = [
    row("stop", ANY, S.IDLE),
    row("start", ANY, S.WAIT_PARM_CNF, do=["begin_all", "begin_try", "send_parm_req"]),
    row("parm_cnf", S.WAIT_PARM_CNF, S.STARTING, when="is_own_run", do="note_parameters"),
    row("timeout", S.WAIT_PARM_CNF, "=", when="has_retries_left", do="repeat_parm_req"),
    row("timeout", S.WAIT_PARM_CNF, S.PAUSED, "may_try_again", "note_no_charger"),
    row("timeout", S.WAIT_PARM_CNF, S.FAILED, do=["note_no_charger", "report_failure"]),
    row("timeout", S.STARTING, "=", when="has_starts_left", do="send_start"),
    row("timeout", S.STARTING, S.SOUNDING, do="send_sound"),
    row("timeout", S.SOUNDING, "=", when="has_sounds_left", do="send_sound"),
    row("timeout", S.SOUNDING, S.COLLECTING, do="arm_results"),
    row("atten_char", HEARD, None, when="is_own_run", do=["note_result", "send_atten_rsp"]),
    row("atten_char", S.WAIT_MATCH_CNF, None, when="is_own_run", do="send_atten_rsp"),
    row("timeout", S.COLLECTING, S.WAIT_MATCH_CNF, "has_result", ["choose", "send_match_req"]),
    row("timeout", S.COLLECTING, S.PAUSED, when="may_try_again", do="note_unheard"),
    row("timeout", S.COLLECTING, S.FAILED, do=["note_unheard", "report_failure"]),
    row("match_cnf", S.WAIT_MATCH_CNF, S.WAIT_KEY, when="is_from_chosen", do="set_modem_key"),
    row("timeout", S.WAIT_MATCH_CNF, "=", when="has_retries_left", do="repeat_match_req"),
    row("timeout", S.WAIT_MATCH_CNF, S.PAUSED, when="may_try_again", do="note_no_match"),
    row("timeout", S.WAIT_MATCH_CNF, S.FAILED, do=["note_no_match", "report_failure"]),
    row("timeout", S.PAUSED, S.WAIT_PARM_CNF, do=["begin_try", "send_parm_req"]),
    row("key_set", S.WAIT_KEY, S.MATCHED, do="report_match"),
    row("key_failed", S.WAIT_KEY, S.FAILED, do="report_failure"),
    row("timeout", S.WAIT_KEY, S.FAILED, do=["note_no_key", "report_failure"]),
]


class PevSlac(SlacCore):
    """The vehicle's core: `mac` is the own interface's, `rng(n)` gives n random bytes."""

    TABLE = TABLE
    INITIAL = S.IDLE
    DEADLINE_S: ClassVar = {
        S.WAIT_PARM_CNF: timing.TT_MATCH_RESPONSE_S,
        S.STARTING: timing.TP_EV_BATCH_MSG_INTERVAL_S,
        S.SOUNDING: timing.TP_EV_BATCH_MSG_INTERVAL_S,
        S.COLLECTING: timing.TT_EV_ATTEN_RESULTS_S,  # counted from the first START
        S.WAIT_MATCH_CNF: timing.TT_MATCH_RESPONSE_S,
        S.WAIT_KEY: timing.PEV_WAIT_KEY_S,
        S.PAUSED: timing.TT_MATCHING_RATE_S,
    }
    ENDLESS = (S.IDLE, S.MATCHED, S.FAILED)

    def __init__(self, mac: bytes, rng: Callable[[int], bytes]) -> None:
        super().__init__(mac)
        self._rng = rng
        self.run_id = b""
        self.nid = b""
        self.nmk = b""
        self.results: dict[bytes, bytes] = {}
        """Charger's MAC -> the profile it reported."""
        self.chosen = b""
        self._why = ""
        self._tries = 0
        self._windows_left = 0
        self._window_ends_at = 0.0
        self._retries_left = 0
        self._starts_left = 0
        self._sounds_left = 0
        self._num_sounds = timing.C_EV_MATCH_MNBC
        self._time_out = 6
        self._first_start_at = 0.0

    # --- verbs ---

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link; frames of foreign runs are ignored."""
        self.now = now
        rx = self.accept(frame)
        if rx is not None and self.state is not S.IDLE:
            self.rx = rx
            match rx.mme:
                case wire.CmSlacParmCnf():
                    self.parm_cnf()
                case wire.CmAttenCharInd():
                    self.atten_char()
                case wire.CmSlacMatchCnf():
                    self.match_cnf()
                case _:
                    pass
        return self.finish()

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take StartSlac, StopSlac, ModemKeySet and ModemFailed."""
        self.now = now
        match signal:
            case StartSlac():
                self.start()
            case StopSlac():
                self.stop()
            case ModemKeySet(nid=nid) if nid == self.nid:
                self.key_set()
            case ModemFailed(reason=reason):
                if self.state is S.WAIT_KEY:
                    self._why = reason
                self.key_failed()
            case _:
                pass
        return self.finish()

    def handle_timer(self, now: float) -> list[Output]:
        """Send what is due, or give up waiting."""
        self.out = super().handle_timer(now)
        return self.finish()

    # --- triggers ---

    def start(self) -> bool:
        """The vehicle was plugged in."""
        return False

    def stop(self) -> bool:
        """The vehicle was unplugged."""
        return False

    def parm_cnf(self) -> bool:
        """CM_SLAC_PARM.CNF arrived."""
        return False

    def atten_char(self) -> bool:
        """CM_ATTEN_CHAR.IND arrived."""
        return False

    def match_cnf(self) -> bool:
        """CM_SLAC_MATCH.CNF arrived."""
        return False

    def key_set(self) -> bool:
        """The own modem has the charger's key."""
        return False

    def key_failed(self) -> bool:
        """The own modem did not take the key."""
        return False

    # --- guards ---

    def is_own_run(self) -> bool:
        """Ask whether an answer is to our request: to our MAC alone, with our RunID."""
        return bool(self.rx.dst == self.mac and self.rx.mme.run_id == self.run_id)

    def is_from_chosen(self) -> bool:
        """Ask whether the network comes from the charger we asked."""
        mme: wire.CmSlacMatchCnf = self.rx.mme
        return self.is_own_run() and self.rx.src == self.chosen and mme.pev_mac == self.mac

    def has_retries_left(self) -> bool:
        """Ask whether the request may be repeated."""
        return self._retries_left > 0

    def has_starts_left(self) -> bool:
        """Ask whether an announcement is still to be sent."""
        return self._starts_left > 0

    def has_sounds_left(self) -> bool:
        """Ask whether a sound is still to be sent."""
        return self._sounds_left > 0

    def has_result(self) -> bool:
        """Ask whether any charger heard us."""
        return bool(self.results)

    def may_try_again(self) -> bool:
        """Ask whether the window is open at the end of the pause, or another may be opened."""
        in_window = self.now + timing.TT_MATCHING_RATE_S < self._window_ends_at
        return in_window or self._windows_left > 0

    # --- actions ---

    def begin_all(self) -> None:
        """Start counting tries."""
        self._tries = 0
        self._windows_left = timing.C_CONN_MAX_MATCH
        self._window_ends_at = self.now

    def begin_try(self) -> None:
        """Forget the try before; a new run has a new RunID."""
        if self.now >= self._window_ends_at:
            self._windows_left -= 1
            self._window_ends_at = self.now + timing.TT_MATCHING_REPETITION_S
        self._tries += 1
        self.run_id = self._rng(RUN_ID_LENGTH)
        self.results = {}
        self.chosen = self.nid = self.nmk = b""
        self._retries_left = timing.C_EV_MATCH_RETRY

    def send_parm_req(self) -> None:
        """Ask all chargers."""
        self._send(wire.BROADCAST, wire.CmSlacParmReq(run_id=self.run_id))

    def repeat_parm_req(self) -> None:
        """Ask all chargers again."""
        self._retries_left -= 1
        self.send_parm_req()

    def note_parameters(self) -> None:
        """Take the first charger's parameters; the others hear the same sounds."""
        mme: wire.CmSlacParmCnf = self.rx.mme
        self._num_sounds = min(max(mme.num_sounds, 1), timing.C_EV_MATCH_MNBC)
        self._time_out = mme.time_out
        self._starts_left = timing.C_EV_START_ATTEN_CHAR_INDS
        self._sounds_left = self._num_sounds

    def send_start(self) -> None:
        """Announce the sounds."""
        if self._starts_left == timing.C_EV_START_ATTEN_CHAR_INDS:
            self._first_start_at = self.now
        self._starts_left -= 1
        self._send(
            wire.BROADCAST,
            wire.CmStartAttenCharInd(
                num_sounds=self._num_sounds,
                time_out=self._time_out,
                forwarding_sta=self.mac,
                run_id=self.run_id,
            ),
        )

    def send_sound(self) -> None:
        """Send one sound; they count down to 0."""
        self._sounds_left -= 1
        self._send(
            wire.BROADCAST,
            wire.CmMnbcSoundInd(
                countdown=self._sounds_left, run_id=self.run_id, random=self._rng(16)
            ),
        )

    def arm_results(self) -> None:
        """Collect until TT_EV_atten_results after the first announcement."""
        self._deadline_at = self._first_start_at + timing.TT_EV_ATTEN_RESULTS_S

    def note_result(self) -> None:
        """Keep what this charger measured."""
        if self.rx.src in self.results or len(self.results) < MAX_CHARGERS:
            self.results[self.rx.src] = self.rx.mme.attenuation

    def send_atten_rsp(self) -> None:
        """Confirm, also when it is a repetition: our last confirm may be lost."""
        self._send(self.rx.src, wire.CmAttenCharRsp(source_address=self.mac, run_id=self.run_id))

    def choose(self) -> None:
        """Take the charger that hears us best."""
        self.chosen = min(self.results, key=lambda m: attenuation.mean_db(self.results[m]))
        self._retries_left = timing.C_EV_MATCH_RETRY

    def send_match_req(self) -> None:
        """Ask the chosen charger for its network."""
        self._send(
            self.chosen,
            wire.CmSlacMatchReq(pev_mac=self.mac, evse_mac=self.chosen, run_id=self.run_id),
        )

    def repeat_match_req(self) -> None:
        """Ask again."""
        self._retries_left -= 1
        self.send_match_req()

    def set_modem_key(self) -> None:
        """Give the network to the own modem, the NID as sent."""
        mme: wire.CmSlacMatchCnf = self.rx.mme
        self.nid, self.nmk = mme.nid, mme.nmk
        self.out.append(SetModemKey(self.nid, self.nmk))

    def report_match(self) -> None:
        """Say that the own modem joins the charger's network."""
        mean = attenuation.mean_db(self.results[self.chosen])
        self.out.append(SlacMatched(self.chosen, self.run_id, self.nid, self.nmk, mean))

    def note_no_charger(self) -> None:
        """Remember why this try failed."""
        self._why = "no charger answers CM_SLAC_PARM.REQ"

    def note_unheard(self) -> None:
        """Remember why this try failed."""
        self._why = "no charger measured our sounds (no CM_ATTEN_CHAR.IND)"

    def note_no_match(self) -> None:
        """Remember why this try failed."""
        self._why = f"the charger {self.chosen.hex(':')} does not answer CM_SLAC_MATCH.REQ"

    def note_no_key(self) -> None:
        """Remember why matching failed."""
        self._why = f"the own modem took no key within {timing.PEV_WAIT_KEY_S:.0f} s"

    def report_failure(self) -> None:
        """Give up, and say why the last try failed."""
        self.out.append(SlacFailed(f"{self._why} ({self._tries} tries)"))

    def _send(self, dst: bytes, mme: Mme) -> None:
        self.out.append(SendFrame(wire.build(dst, self.mac, mme)))
