"""One vehicle's matching run at the charger, from its first sound to the match.

A run is known by the vehicle's MAC *and* its RunID: every Tesla uses the RunID "TESLA EV", and some
cars use zeros. The RunID is echoed untouched. `evse.EvseSlac` holds several runs, for vehicles at
neighbouring outlets are heard too.

The sounding window counts from the first START_ATTEN_CHAR (or the first sound, should all three be
lost) and is never re-armed. When it ends, or all sounds and their profiles are there, the mean
goes out; modems that measure nothing get the fallback profile. A vehicle that we did not hear at
all gets no answer: it is at another outlet.

A vehicle in doubt asks for validation first (CM_VALIDATE): it toggles its S2 for a time that it
names, and is then told how many toggles the control pilot of this outlet saw.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.machine import TableMachine, row
from controller.plc import wire
from controller.signals import Output, SendFrame
from controller.slac import attenuation, timing
from controller.slac.toggles import PilotToggles

if TYPE_CHECKING:
    from controller.plc.layout import Mme
    from controller.slac.askers import Key

MAX_HEARD = 32
"""Different sounds and profiles kept of one run; more than 10 are somebody's game."""
VALIDATE_UNIT_S = 0.1
"""Timer in CM_VALIDATE.REQ: 0 is 100 ms in the standard, and used as "no time yet"."""


class RunState(Enum):
    """How far the run is; the order is that of the exchange."""

    FREE = "free"
    SOUNDING = "sounding"
    WAIT_ATTEN_RSP = "attenuation reported"
    WAIT_MATCH = "waiting for the match request"
    VALIDATING = "validating by the control pilot"
    MATCHED = "matched"


R = RunState
ANY = list(R)
REPORTED = [R.WAIT_ATTEN_RSP, R.WAIT_MATCH]
ASKING = [*REPORTED, R.VALIDATING]

TABLE = [
    row("drop", ANY, R.FREE),
    row("begin_sounding", ANY, R.SOUNDING, do="begin"),
    row("sound", R.SOUNDING, None, do="count_sound"),
    row("profile", R.SOUNDING, None, do="add_profile"),
    row("complete", R.SOUNDING, R.WAIT_ATTEN_RSP, do="send_atten_char"),
    row("timeout", R.SOUNDING, R.WAIT_ATTEN_RSP, do="send_atten_char"),  # TT_EVSE_match_MNBC
    row("atten_rsp", R.WAIT_ATTEN_RSP, R.WAIT_MATCH),
    row("timeout", R.WAIT_ATTEN_RSP, "=", when="has_retries_left", do="send_atten_char"),
    row("timeout", R.WAIT_ATTEN_RSP, R.WAIT_MATCH),  # perhaps only its answers are lost
    row("validate_req", ASKING, None, when="has_no_pilot", do="send_not_required"),
    row("validate_req", ASKING, None, when="is_pilot_taken", do="send_not_ready"),
    row("validate_req", REPORTED, None, when="is_without_time", do="send_ready"),
    row("validate_req", REPORTED, R.VALIDATING, do="count_toggles"),
    row("timeout", R.VALIDATING, R.WAIT_MATCH, do="send_toggles"),
    row("match_req", ASKING, R.MATCHED, when="is_match_valid", do="send_match"),
    row("match_req", R.MATCHED, None, when="is_match_valid", do="send_match"),  # our CNF was lost
    row("timeout", R.WAIT_MATCH, R.FREE),  # TT_EVSE_match_session
]


class EvseRun(TableMachine):
    """The core of one run; `EvseSlac` gives it only frames of its own vehicle."""

    TABLE = TABLE
    INITIAL = R.FREE
    DEADLINE_S: ClassVar = {
        R.SOUNDING: timing.TT_EVSE_MATCH_MNBC_S,
        R.WAIT_ATTEN_RSP: timing.TT_MATCH_RESPONSE_S,
        R.WAIT_MATCH: timing.TT_EVSE_MATCH_SESSION_S,
        R.VALIDATING: timing.TT_EVSE_VALD_TOGGLE_S,  # at most; the vehicle names its time
    }
    ENDLESS = (R.FREE, R.MATCHED)

    def __init__(
        self,
        mac: bytes,
        fallback: bytes = attenuation.FALLBACK_PROFILE,
        toggles: PilotToggles | None = None,
        receive_path_db: float = 0.0,
    ) -> None:
        super().__init__()
        self.mac = mac
        self.fallback = fallback
        self.receive_path_db = receive_path_db
        self.toggles = toggles or PilotToggles()
        self.pilot_taken = False
        """Another vehicle is validating: there is one pilot."""
        self.pev_mac = b""
        self.run_id = b""
        self.nid = b""
        self.nmk = b""
        self.attenuation_db = 0.0
        self.started_at = 0.0
        """First announcement of the sounds."""
        self._sounds: set[bytes] = set()
        self._profiles: list[bytes] = []
        self._result = b""
        self._retries_left = 0

    def open(self, key: Key, nid: bytes, nmk: bytes, started_at: float, now: float) -> None:
        """Begin with this vehicle, whose first announcement (or sound) was at `started_at`."""
        self.now = now
        self.pev_mac, self.run_id = key
        self.nid, self.nmk = nid, nmk
        self.started_at = started_at
        self.begin_sounding()

    def receive(self, frame: wire.Frame, now: float) -> list[Output]:
        """Take a parsed frame of this run's vehicle, or its profile from the own modem."""
        self.now, self.rx = now, frame
        match frame.mme:
            case wire.CmMnbcSoundInd():
                self.sound()
            case wire.CmAttenProfileInd():
                self.profile()
            case wire.CmAttenCharRsp():
                self.atten_rsp()
            case wire.CmValidateReq():
                self.validate_req()
            case wire.CmSlacMatchReq():
                self.match_req()
        if self.is_complete():
            self.complete()
        return self.drain()

    @property
    def key(self) -> Key:
        """Whose run it is."""
        return self.pev_mac, self.run_id

    def is_for(self, frame: wire.Frame) -> bool:
        """Ask whether a frame belongs to this run."""
        mme = frame.mme
        if self.state is R.FREE:
            return False
        if isinstance(mme, wire.CmAttenProfileInd):
            return mme.pev_mac == self.pev_mac
        if frame.src != self.pev_mac:
            return False
        if isinstance(mme, wire.CmValidateReq):  # carries no RunID
            return self.state in ASKING
        return getattr(mme, "run_id", None) == self.run_id

    # --- triggers ---

    def drop(self) -> bool:
        """Forget the run."""
        return False

    def begin_sounding(self) -> bool:
        """The vehicle's first sound arrived."""
        return False

    def sound(self) -> bool:
        """CM_MNBC_SOUND.IND arrived."""
        return False

    def profile(self) -> bool:
        """The own modem measured a sound."""
        return False

    def complete(self) -> bool:
        """All sounds and profiles are there."""
        return False

    def atten_rsp(self) -> bool:
        """CM_ATTEN_CHAR.RSP arrived."""
        return False

    def validate_req(self) -> bool:
        """CM_VALIDATE.REQ arrived."""
        return False

    def match_req(self) -> bool:
        """CM_SLAC_MATCH.REQ arrived."""
        return False

    # --- guards ---

    def is_complete(self) -> bool:
        """Ask whether nothing more is to come in the sounding window."""
        enough = timing.C_EV_MATCH_MNBC
        return (
            self.state is R.SOUNDING
            and len(self._sounds) >= enough
            and len(self._profiles) >= enough
        )

    def has_retries_left(self) -> bool:
        """Ask whether CM_ATTEN_CHAR.IND may be repeated."""
        return self._retries_left > 0

    def has_no_pilot(self) -> bool:
        """Ask whether there is no control pilot to look at, or no such signal in the request."""
        return not self.toggles.known or self.rx.mme.signal_type != 0

    def is_pilot_taken(self) -> bool:
        """Ask whether another vehicle is validating just now."""
        return self.pilot_taken

    def is_without_time(self) -> bool:
        """Ask whether this is the first of the two requests, which only asks if we are ready."""
        timer: int = self.rx.mme.timer
        return (timer + 1) * VALIDATE_UNIT_S < timing.TP_EV_VALD_TOGGLE_S - 1e-9

    def is_match_valid(self) -> bool:
        """Ask whether the request fits this vehicle, this charger and its own length."""
        mme: wire.CmSlacMatchReq = self.rx.mme
        return (
            mme.pev_mac == self.pev_mac
            and mme.evse_mac == self.mac
            and mme.mvf_length == wire.MATCH_REQ_LENGTH
            and mme.application_type == mme.security_type == 0
        )

    # --- actions ---

    def begin(self) -> None:
        """Start over; the window counts from the first announcement."""
        self._deadline_at = self.started_at + timing.TT_EVSE_MATCH_MNBC_S
        self._sounds = set()
        self._profiles = []
        self._result = b""
        self._retries_left = timing.C_EV_MATCH_RETRY

    def count_sound(self) -> None:
        """Count a sound; a duplicated frame is one sound."""
        mme: wire.CmMnbcSoundInd = self.rx.mme
        if len(self._sounds) < MAX_HEARD:
            self._sounds.add(bytes([mme.countdown]) + mme.random)

    def add_profile(self) -> None:
        """Keep a measured profile; empty and all-zero ones measure nothing."""
        if attenuation.is_usable(self.rx.mme.attenuation) and len(self._profiles) < MAX_HEARD:
            self._profiles.append(self.rx.mme.attenuation)

    def send_atten_char(self) -> None:
        """Report the mean attenuation; a repetition repeats the same figures."""
        if self._result:
            self._retries_left -= 1
        else:
            self._result = attenuation.average(self._profiles, self.fallback, self.receive_path_db)
            self.attenuation_db = attenuation.mean_db(self._result)
        heard = max(len(self._sounds), len(self._profiles))
        self._send(
            wire.CmAttenCharInd(
                source_address=self.pev_mac,
                run_id=self.run_id,
                num_sounds=min(heard, timing.C_EV_MATCH_MNBC),
                attenuation=self._result,
            )
        )

    def send_not_required(self) -> None:
        """Say that no validation is needed: the vehicle then asks for the match."""
        self._send(wire.CmValidateCnf(result=wire.VALIDATE_NOT_REQUIRED))

    def send_not_ready(self) -> None:
        """Say that somebody else is validating."""
        self._send(wire.CmValidateCnf(result=wire.VALIDATE_NOT_READY))

    def send_ready(self) -> None:
        """Say that toggles can be counted."""
        self._send(wire.CmValidateCnf(result=wire.VALIDATE_READY))

    def count_toggles(self) -> None:
        """Count for as long as the vehicle says, and not for ever."""
        time_s = (self.rx.mme.timer + 1) * VALIDATE_UNIT_S
        self._deadline_at = self.now + min(time_s, timing.TT_EVSE_VALD_TOGGLE_S)
        self.toggles.restart(self.now)

    def send_toggles(self) -> None:
        """Tell how many toggles the pilot saw."""
        seen = min(self.toggles.counted, 0xFF)
        result = wire.VALIDATE_SUCCESS if seen else wire.VALIDATE_FAILURE
        self._send(wire.CmValidateCnf(toggle_num=seen, result=result))

    def send_match(self) -> None:
        """Give the vehicle our network, to its address alone."""
        self._send(
            wire.CmSlacMatchCnf(
                pev_mac=self.pev_mac,
                evse_mac=self.mac,
                run_id=self.run_id,
                nid=self.nid,
                nmk=self.nmk,
            )
        )

    def _send(self, mme: Mme) -> None:
        self.out.append(SendFrame(wire.build(self.pev_mac, self.mac, mme)))
