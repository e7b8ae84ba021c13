"""SLAC at the vehicle: be heard by all chargers in earshot, and join the one that hears us best.

A try: ask for parameters (CM_SLAC_PARM.REQ), announce the sounds three times, send ten sounds 20 to
50 ms apart, collect what the chargers measured until TT_EV_atten_results after the first
announcement, take the lowest mean (`choice`), and ask that charger for its network. Real chargers
answer 9 to 600 ms after the last sound, and report 9 or even 2 sounds: all of that is taken.

In doubt which of several chargers ours is, the nearest is asked to watch its control pilot
(CM_VALIDATE) while we toggle S2; if it does not see that, the next one is asked.

A try that failed is repeated after TT_matching_rate, for TT_matching_repetition; C_conn_max_match
such windows, then `SlacFailed` says where the last try ended. The charger's modem may be restarting
with a fresh key while we ask, so the first tries may well be lost.

The network of CM_SLAC_MATCH.CNF goes to the own modem exactly as sent: one real charger in five has
a NID that does not derive from its key. When the vehicle leaves, its modem gets a random one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from controller.plc import wire
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemKeySet,
    Output,
    S2Request,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import timing
from controller.slac.amp_map import AmplitudeMap
from controller.slac.choice import Candidate, Policy, ranked
from controller.slac.core import Rejection, SlacCore
from controller.slac.pev_table import DEADLINE_S, REFUSED, TABLE, S

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plc.layout import Mme

RUN_ID_LENGTH = 8
VALIDATE_UNIT_S = 0.1
MAX_CHARGERS = 16
"""Answers that are kept; more chargers are not in earshot of one cable."""


class PevSlac(SlacCore):
    """The vehicle's core: `mac` is the own interface's, `rng(n)` gives n random bytes."""

    TABLE = TABLE
    INITIAL = S.IDLE
    DEADLINE_S: ClassVar = DEADLINE_S
    ENDLESS = (S.IDLE, S.MATCHED, S.FAILED)

    TAKES = frozenset(
        (
            wire.CmSlacParmCnf,
            wire.CmAttenCharInd,
            wire.CmValidateCnf,
            wire.CmSlacMatchCnf,
            wire.CmAmpMapReq,
            wire.CmAmpMapCnf,
        )
    )

    def __init__(
        self,
        mac: bytes,
        rng: Callable[[int], bytes],
        policy: Policy = Policy.FIELD,
        amplitude_map: bytes = b"",
    ) -> None:
        super().__init__(mac)
        self._rng = rng
        self.policy = policy
        self.map = AmplitudeMap(mac, amplitude_map)
        self.run_id = b""
        self.nid = b""
        self.nmk = b""
        self.results: dict[bytes, bytes] = {}
        """Charger's MAC -> the profile it reported."""
        self._chosen: Candidate | None = None
        self._others: list[Candidate] = []
        self._link_up = False
        self._why = ""
        self._tries = 0
        self._windows_left = 0
        self._window_ends_at = 0.0
        self._retries_left = 0
        self._starts_left = 0
        self._sounds_left = 0
        self._toggles = 0
        self._edges_left = 0
        self._s2_closed = False
        self._validated_at = 0.0
        self._num_sounds = timing.C_EV_MATCH_MNBC
        self._time_out = 6
        self._first_start_at = 0.0

    @property
    def chosen(self) -> bytes:
        """MAC of the charger that is asked, or nothing."""
        return self._chosen.mac if self._chosen is not None else b""

    # --- verbs ---

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link; frames of foreign runs are ignored."""
        self.now = now
        rx = self.accept(frame)
        if rx is None:
            return self.drain()
        self.rx = rx
        match rx.mme:
            case wire.CmSlacParmCnf():
                self._count(self.parm_cnf(), self.is_own_run(), Rejection.FOREIGN_RUN)
            case wire.CmAttenCharInd():
                self._count(self.atten_char(), self.is_report_valid(), Rejection.BAD_REPORT)
            case wire.CmValidateCnf():
                self._take_validate_cnf()
            case wire.CmSlacMatchCnf():
                self._count(self.match_cnf(), self.is_from_chosen(), Rejection.FOREIGN_RUN)
            case _:
                self._take_map(rx)
        return self.finish()

    def _count(self, taken: bool, fits: bool, otherwise: Rejection) -> None:
        if not taken:
            self.reject(Rejection.OUT_OF_TURN if fits else otherwise)

    def _take_validate_cnf(self) -> None:
        fits = self.rx.src == self.chosen and self.rx.dst == self.mac
        if not fits or self.state not in REFUSED:
            self._count(False, fits, Rejection.FOREIGN_RUN)
        elif not self.validate_cnf():
            self.refused()

    def _take_map(self, rx: wire.Frame) -> None:
        out = self.map.receive(rx, self.now) if self._link_up else None
        if out is None:
            is_peer = self._link_up and rx.src == self.map.peer
            self.reject(Rejection.BAD_MAP if is_peer else Rejection.OUT_OF_TURN)
        else:
            self.out.extend(out)

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take StartSlac, StopSlac, ModemKeySet, ModemFailed and LinkChanged."""
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
            case LinkChanged(up=up):
                self._link_up = up and self.state is S.MATCHED
                if self._link_up:
                    self.out.extend(self.map.begin_with(self.chosen, now))
            case _:
                pass
        return self.finish()

    def handle_timer(self, now: float) -> list[Output]:
        """Send what is due, or give up waiting."""
        self.out = super().handle_timer(now)
        self.out.extend(self.map.handle_timer(now))
        return self.finish()

    def next_timer(self) -> float | None:
        """Earliest deadline of the state and of the map."""
        at, map_at = self._deadline_at, self.map.next_timer()
        if at is None or (map_at is not None and map_at < at):
            return map_at
        return at

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

    def validate_cnf(self) -> bool:
        """CM_VALIDATE.CNF of the chosen charger arrived."""
        return False

    def refused(self) -> bool:
        """It says that it is not ready, or saw other toggles than ours."""
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

    def is_in_network(self) -> bool:
        """Ask whether the own modem was given the charger's network."""
        return bool(self.nmk)

    def is_report_valid(self) -> bool:
        """Ask whether a report is about our sounds."""
        return self.is_own_run() and self.rx.mme.source_address == self.mac

    def is_found(self) -> bool:
        """Ask whether one of the chargers is ours beyond doubt."""
        found = ranked(self.results, self.policy)
        return bool(found) and not found[0].in_doubt

    def has_choice(self) -> bool:
        """Ask whether any charger heard us."""
        return bool(ranked(self.results, self.policy))

    def has_next(self) -> bool:
        """Ask whether there is a charger farther away that may be ours instead."""
        return bool(self._others)

    def is_not_required(self) -> bool:
        """Ask whether the charger does without validation."""
        return bool(self.rx.mme.result == wire.VALIDATE_NOT_REQUIRED)

    def is_ready(self) -> bool:
        """Ask whether the charger watches its pilot."""
        return bool(self.rx.mme.result == wire.VALIDATE_READY)

    def is_validated(self) -> bool:
        """Ask whether the charger saw exactly our toggles."""
        mme: wire.CmValidateCnf = self.rx.mme
        return mme.result == wire.VALIDATE_SUCCESS and mme.toggle_num == self._toggles

    def may_skip_validation(self) -> bool:
        """Ask whether a charger that does not know CM_VALIDATE may be ours nonetheless."""
        return self.policy is Policy.FIELD

    def has_toggles_left(self) -> bool:
        """Ask whether S2 has to be switched again."""
        return self._edges_left > 0

    def may_try_again(self) -> bool:
        """Ask whether the window is open at the end of the pause, or another may be opened."""
        in_window = self.now + timing.TT_MATCHING_RATE_S < self._window_ends_at
        return in_window or self._windows_left > 0

    # --- actions ---

    def begin_all(self) -> None:
        """Start counting tries."""
        self.report_anew()
        self.open_s2()
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
        self._chosen, self._others = None, []
        self.nid = self.nmk = b""
        self._link_up = False
        self.map.end()
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
        """Take the charger that hears us best; the others may be asked after it."""
        self._chosen, *self._others = ranked(self.results, self.policy)
        self._retries_left = timing.C_EV_MATCH_RETRY

    def take_next(self) -> None:
        """Go on with the next charger."""
        self._chosen = self._others.pop(0)
        self._retries_left = timing.C_EV_MATCH_RETRY

    def send_validate_req(self) -> None:
        """Ask whether the charger is ready to watch its pilot; no time is named yet."""
        self._send(self.chosen, wire.CmValidateReq(result=wire.VALIDATE_READY))

    def repeat_validate_req(self) -> None:
        """Ask again."""
        self._retries_left -= 1
        self.send_validate_req()

    def announce_toggles(self) -> None:
        """Name the time within which S2 will toggle, 1 to 3 times by chance, a little later."""
        self._toggles = 1 + self._rng(1)[0] % timing.C_EV_VALD_NB_TOGGLES
        self._edges_left = 2 * self._toggles
        edges_s = (self._edges_left + 1) * timing.TP_EV_VALD_STATE_DURATION_S
        lasts_s = edges_s + timing.T_VALD_DETECT_TIME_S
        timer = round(lasts_s / VALIDATE_UNIT_S) - 1
        self._validated_at = self.now + (timer + 1) * VALIDATE_UNIT_S
        self._send(self.chosen, wire.CmValidateReq(timer=timer, result=wire.VALIDATE_READY))

    def toggle_s2(self) -> None:
        """Switch S2 over."""
        self._edges_left -= 1
        self._s2_closed = not self._s2_closed
        self.out.append(S2Request(self._s2_closed))

    def open_s2(self) -> None:
        """Leave nothing of a validation behind."""
        self._edges_left = 0
        if self._s2_closed:
            self.toggle_s2()

    def arm_validated(self) -> None:
        """Wait for the result after the time that we announced."""
        self._deadline_at = self._validated_at + timing.TT_MATCH_RESPONSE_S

    def ask_for_match(self) -> None:
        """Ask the charger for its network, with all tries."""
        self._retries_left = timing.C_EV_MATCH_RETRY
        self.send_match_req()

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

    def leave(self) -> None:
        """Leave the charger's network: the own modem gets a random one."""
        nmk = self._rng(wire.NMK_LENGTH)
        self.out.append(SetModemKey(wire.nid_from_nmk(nmk), nmk))
        self.nid = self.nmk = b""
        self._link_up = False
        self.map.end()

    def report_match(self) -> None:
        """Say that the own modem joins the charger's network."""
        mean = self._chosen.mean_db if self._chosen is not None else 0.0
        self.out.append(SlacMatched(self.chosen, self.run_id, self.nid, self.nmk, mean))

    def note_no_charger(self) -> None:
        """Remember why this try failed."""
        self._why = "no charger answers CM_SLAC_PARM.REQ"

    def note_unheard(self) -> None:
        """Remember why this try failed."""
        self._why = "no charger measured our sounds (no CM_ATTEN_CHAR.IND)"

    def note_not_validated(self) -> None:
        """Remember why this try failed."""
        self._why = "no charger saw our toggles of the control pilot (CM_VALIDATE)"

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
