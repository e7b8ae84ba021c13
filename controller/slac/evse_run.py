"""One vehicle's matching run at the charger, from its CM_SLAC_PARM.REQ to the match.

A run is known by the vehicle's MAC *and* its RunID: every Tesla uses the RunID "TESLA EV", and some
cars use zeros. The RunID is echoed untouched. `evse.EvseSlac` holds several runs, for vehicles at
neighbouring outlets are heard too.

The sounding window counts from the first START_ATTEN_CHAR (or the first sound, should all three be
lost) and is never re-armed. When it ends, or all sounds and their profiles are there, the mean
goes out; modems that measure nothing get the fallback profile. A vehicle that we did not hear at
all gets no answer: it is at another outlet.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.machine import TableMachine, row
from controller.plc import wire
from controller.signals import Output, PeerMisbehaved, SendFrame
from controller.slac import attenuation, timing

if TYPE_CHECKING:
    from controller.plc.layout import Mme


class RunState(Enum):
    """How far the run is; the order is that of the exchange."""

    FREE = "free"
    WAIT_START = "vehicle asked for parameters"
    SOUNDING = "sounding"
    WAIT_ATTEN_RSP = "attenuation reported"
    WAIT_MATCH = "waiting for the match request"
    MATCHED = "matched"


R = RunState
ANY = list(R)

TABLE = [
    row("drop", ANY, R.FREE),
    row("parm_req", ANY, R.WAIT_START, do=["begin", "send_parm_cnf"]),
    row("start_atten", R.WAIT_START, R.SOUNDING),
    row("sound", R.WAIT_START, R.SOUNDING, do="count_sound"),  # all three STARTs lost
    row("sound", R.SOUNDING, None, do="count_sound"),
    row("profile", [R.WAIT_START, R.SOUNDING], None, do="add_profile"),
    row("complete", R.SOUNDING, R.WAIT_ATTEN_RSP, do="send_atten_char"),
    row("timeout", R.SOUNDING, R.WAIT_ATTEN_RSP, when="heard_any", do="send_atten_char"),
    row("atten_rsp", R.WAIT_ATTEN_RSP, R.WAIT_MATCH),
    row("timeout", R.WAIT_ATTEN_RSP, "=", when="has_retries_left", do="send_atten_char"),
    row("timeout", R.WAIT_ATTEN_RSP, R.WAIT_MATCH),  # perhaps only its answers are lost
    row("validate_req", [R.WAIT_ATTEN_RSP, R.WAIT_MATCH], None, do="send_validate_cnf"),
    row("match_req", [R.WAIT_ATTEN_RSP, R.WAIT_MATCH], R.MATCHED, "is_match_valid", "send_match"),
    row("match_req", R.MATCHED, None, when="is_match_valid", do="send_match"),  # our CNF was lost
    row("match_req", [R.WAIT_ATTEN_RSP, R.WAIT_MATCH, R.MATCHED], None, do="report_bad_match"),
    row("timeout", [R.WAIT_START, R.SOUNDING, R.WAIT_MATCH], R.FREE),
]


class EvseRun(TableMachine):
    """The core of one run; `EvseSlac` gives it only frames of its own vehicle."""

    TABLE = TABLE
    INITIAL = R.FREE
    DEADLINE_S: ClassVar = {
        R.WAIT_START: timing.EVSE_START_ATTEN_WAIT_S,
        R.SOUNDING: timing.TT_EVSE_MATCH_MNBC_S,
        R.WAIT_ATTEN_RSP: timing.TT_MATCH_RESPONSE_S,
        R.WAIT_MATCH: timing.TT_EVSE_MATCH_SESSION_S,
    }
    ENDLESS = (R.FREE, R.MATCHED)

    def __init__(self, mac: bytes, fallback: bytes = attenuation.FALLBACK_PROFILE) -> None:
        super().__init__()
        self.mac = mac
        self.fallback = fallback
        self.pev_mac = b""
        self.run_id = b""
        self.began_at = 0.0
        self.nid = b""
        self.nmk = b""
        self.attenuation_db = 0.0
        self._sounds = 0
        self._profiles: list[bytes] = []
        self._result = b""
        self._retries_left = 0

    def receive(self, frame: wire.Frame, now: float) -> list[Output]:
        """Take a parsed frame of this run's vehicle, or its profile from the own modem."""
        self.now, self.rx = now, frame
        match frame.mme:
            case wire.CmSlacParmReq():
                self.parm_req()
            case wire.CmStartAttenCharInd():
                self.start_atten()
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
            return True
        return getattr(mme, "run_id", None) == self.run_id

    # --- triggers ---

    def drop(self) -> bool:
        """Forget the run."""
        return False

    def parm_req(self) -> bool:
        """CM_SLAC_PARM.REQ arrived."""
        return False

    def start_atten(self) -> bool:
        """CM_START_ATTEN_CHAR.IND arrived."""
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
        return self.state is R.SOUNDING and self._sounds >= enough and len(self._profiles) >= enough

    def heard_any(self) -> bool:
        """Ask whether there is anything to report."""
        return self._sounds > 0 or bool(self._profiles)

    def has_retries_left(self) -> bool:
        """Ask whether CM_ATTEN_CHAR.IND may be repeated."""
        return self._retries_left > 0

    def is_match_valid(self) -> bool:
        """Ask whether the request names this vehicle and this charger (its other fields vary)."""
        mme: wire.CmSlacMatchReq = self.rx.mme
        return mme.pev_mac == self.pev_mac and mme.evse_mac == self.mac

    # --- actions ---

    def begin(self) -> None:
        """Start over with this vehicle and RunID."""
        self.pev_mac, self.run_id = self.rx.src, self.rx.mme.run_id
        self.began_at = self.now
        self._sounds = 0
        self._profiles = []
        self._result = b""
        self._retries_left = timing.C_EV_MATCH_RETRY

    def send_parm_cnf(self) -> None:
        """Answer with 10 sounds in 600 ms: what every charger of the field says."""
        self._send(wire.CmSlacParmCnf(forwarding_sta=self.pev_mac, run_id=self.run_id))

    def count_sound(self) -> None:
        """Count a sound (with a duplicated frame perhaps once too often: it changes nothing)."""
        self._sounds += 1

    def add_profile(self) -> None:
        """Keep a measured profile; empty and all-zero ones measure nothing."""
        if attenuation.is_usable(self.rx.mme.attenuation):
            self._profiles.append(self.rx.mme.attenuation)

    def send_atten_char(self) -> None:
        """Report the mean attenuation; a repetition repeats the same figures."""
        if self._result:
            self._retries_left -= 1
        else:
            self._result = attenuation.average(self._profiles, self.fallback)
            self.attenuation_db = attenuation.mean_db(self._result)
        self._send(
            wire.CmAttenCharInd(
                source_address=self.pev_mac,
                run_id=self.run_id,
                num_sounds=min(max(self._sounds, len(self._profiles)), timing.C_EV_MATCH_MNBC),
                attenuation=self._result,
            )
        )

    def send_validate_cnf(self) -> None:
        """Say that no validation is needed: the vehicle then asks for the match."""
        self._send(wire.CmValidateCnf(result=wire.VALIDATE_NOT_REQUIRED))

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

    def report_bad_match(self) -> None:
        """Say why the vehicle gets no network."""
        mme: wire.CmSlacMatchReq = self.rx.mme
        self.out.append(
            PeerMisbehaved(
                f"CM_SLAC_MATCH.REQ of {self.pev_mac.hex(':')} names the vehicle "
                f"{mme.pev_mac.hex(':')} and the charger {mme.evse_mac.hex(':')}",
                "ISO 15118-3 Annex A",
            )
        )

    def _send(self, mme: Mme) -> None:
        self.out.append(SendFrame(wire.build(self.pev_mac, self.mac, mme)))
