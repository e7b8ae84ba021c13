"""A vehicle core brought into each state of the DIN conversation, and the answers of a charger."""

from dataclasses import replace

from controller.signals import Output, SeccDiscovered, StopRequest
from controller.v2g import v2gtp
from controller.v2g.evcc import Evcc, EvccConfig
from controller.v2g.evcc_din_table import S
from controller.v2g.messages import din, sap
from controller.v2g.messages.din import Unit
from controller.v2g.secc_din_responses import FILL
from controller.v2g.session import SeccSession
from tests.v2g.helpers import ADDRESS, ENVELOPE, MAC, SESSION_ID, bodies, frame, inlet, report
from tests.v2g.secc_states import NOW, REQUESTS, amount

OK = din.ResponseCode.OK


def status(
    code: str = "EVSE_Ready", isolation: str | None = "Valid", notification: str = "None"
) -> din.DcEvseStatus:
    return din.DcEvseStatus(
        evse_isolation_status=None if isolation is None else din.IsolationLevel(isolation),
        evse_status_code=din.DcEvseStatusCode(code),
        notification_max_delay=0,
        evse_notification=din.EvseNotification(notification),
    )


def answer(name: str, code: din.ResponseCode = OK) -> din.BodyElement:
    """The charger's plain answer to a request of `secc_states.REQUESTS`."""
    session = SeccSession(report=report(NOW, voltage_v=380.0))
    return FILL[type(REQUESTS[name])](code, session, session.report, ENVELOPE)


def cable_check_res(
    processing: str = "Finished", code: str = "EVSE_Ready", isolation: str | None = "Valid"
) -> din.CableCheckRes:
    return din.CableCheckRes(
        response_code=OK,
        dc_evse_status=status(code, isolation),
        evse_processing=din.EvseProcessing(processing),
    )


def current_demand_res(code: str = "EVSE_Ready", current_a: float = 50.0) -> din.CurrentDemandRes:
    body = answer("CurrentDemand")
    assert isinstance(body, din.CurrentDemandRes)
    return replace(
        body, dc_evse_status=status(code), evse_present_current=amount(current_a, Unit.A)
    )


def sap_answer(code: str = "OK_SuccessfulNegotiation", schema_id: int | None = 1) -> bytes:
    res = sap.SupportedAppProtocolRes(response_code=sap.ResponseCode(code), schema_id=schema_id)
    return v2gtp.encode(v2gtp.PayloadType.EXI, sap.encode(res))


PATH: list[tuple[S, str]] = [
    # state, answer that leads out of it (CLOSING and those after are led out of by reports)
    (S.SESSION_SETUP, "SessionSetup"),
    (S.SERVICE_DISCOVERY, "ServiceDiscovery"),
    (S.PAYMENT_SELECTION, "ServicePaymentSelection"),
    (S.AUTHORISATION, "ContractAuthentication"),
    (S.PARAMETERS, "ChargeParameterDiscovery"),
    (S.CABLE_CHECK, "CableCheck"),
    (S.PRE_CHARGE, "PreCharge"),
    (S.CLOSING, ""),
    (S.POWER_ON, "PowerOn"),
    (S.CHARGE, "stop"),
    (S.POWER_OFF, "PowerOff"),
    (S.RAMP_DOWN, ""),
    (S.OPENING, ""),
    (S.WELDING, "WeldingDetection"),
    (S.SESSION_STOP, "SessionStop"),
]


class Bench:
    """A vehicle core with a healthy battery behind it."""

    def __init__(self, config: EvccConfig | None = None) -> None:
        self.now = NOW
        self.evcc = Evcc(config or EvccConfig(MAC))
        self.closed = False
        self.current_a = 0.0
        self.inlet_v = 380.0
        self.outputs: list[Output] = []
        self.report()

    def signal(self, signal: Output) -> list[Output]:
        self.outputs = self.evcc.receive_signal(signal, self.now)
        return self.outputs

    def report(self, **changes: object) -> list[Output]:
        given = {
            "inlet_voltage_v": self.inlet_v,
            "inlet_current_a": self.current_a,
            "contactors_closed": self.closed,
            **changes,
        }
        return self.signal(inlet(self.now, **given))

    def open(self) -> "Bench":
        self.signal(SeccDiscovered(ADDRESS, 50_000, False))
        self.outputs = self.evcc.connection_made(self.now)
        self.outputs = self.evcc.receive_data(sap_answer(), self.now)
        return self

    def tell(self, body: din.BodyElement, session_id: bytes = SESSION_ID) -> list[Output]:
        self.outputs = self.evcc.receive_data(frame(body, session_id), self.now)
        return self.outputs

    def later(self, seconds: float) -> list[Output]:
        """Let time pass, with every timer fired at its time, and a report every 100 ms."""
        end = self.now + seconds
        gathered: list[Output] = []
        while True:
            at = self.evcc.next_timer()
            tick = self.now + 0.1
            if min(tick, end if at is None else at) > end or self.now >= end:
                break
            self.now = tick if at is None or at > tick else max(at, self.now)
            if at is not None and at <= self.now:
                gathered += self.evcc.handle_timer(self.now)
            gathered += self.report()
        self.now = max(end, self.now)
        self.outputs = gathered
        return gathered

    def to(self, state: S) -> "Bench":
        """Walk the good case up to a state."""
        self.open()
        for here, name in PATH:
            assert self.evcc.state is here, (here, self.evcc.state, self.evcc.session.stop_reason)
            if here is state:
                return self
            self._leave(here, name)
        raise AssertionError(state)

    def _leave(self, here: S, name: str) -> None:
        if here is S.CABLE_CHECK or here is S.WELDING:
            self.later(0.25)  # the request waits for the pilot
        if here is S.CHARGE:
            self.evcc.receive_signal(stop_request(), self.now)
            self.tell(answer("CurrentDemand"))
            self.tell(answer("CurrentDemand"))
        elif here is S.WELDING:
            body = answer(name)
            assert isinstance(body, din.WeldingDetectionRes)
            self.tell(replace(body, evse_present_voltage=amount(0.0, Unit.V)))
        elif here is S.CABLE_CHECK:
            self.tell(cable_check_res())
        elif name:
            self.tell(answer(name))
        else:
            self.closed = here is S.CLOSING or (self.closed and here is S.RAMP_DOWN)
            self.report()

    def asked(self) -> list[din.BodyElement]:
        return bodies(self.outputs)


def stop_request() -> Output:
    return StopRequest("driver")
