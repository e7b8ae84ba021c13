"""A charger core brought into each state of the DIN conversation, and one request of each type."""

from controller.signals import CableCheckState, IsolationStatus, Output
from controller.v2g import v2gtp
from controller.v2g.messages import din, sap
from controller.v2g.messages.din import PhysicalValue, Unit
from controller.v2g.secc import Secc, SeccConfig
from controller.v2g.secc_din_table import S
from tests.v2g.helpers import SESSION_ID, bodies, frame, pilot, report, rng

NOW = 100.0
STATUS = din.DcEvStatus(ev_ready=True, ev_error_code=din.DcEvErrorCode.NO_ERROR, ev_ress_soc=50)
CHAIN = din.CertificateChain(certificate=b"\x30")
ROOTS = din.ListOfRootCertificateIDs(root_certificate_id=("root",))


def amount(number: float, unit: Unit) -> PhysicalValue:
    return PhysicalValue.from_si(number, unit)


def power_delivery(on: bool) -> din.PowerDeliveryReq:
    return din.PowerDeliveryReq(
        ready_to_charge_state=on,
        ev_power_delivery_parameter=din.DcEvPowerDeliveryParameter(
            dc_ev_status=STATUS, charging_complete=not on
        ),
    )


def current_demand(current_a: float = 50.0, voltage_v: float = 400.0) -> din.CurrentDemandReq:
    return din.CurrentDemandReq(
        dc_ev_status=STATUS,
        ev_target_current=amount(current_a, Unit.A),
        ev_maximum_voltage_limit=amount(420.0, Unit.V),
        charging_complete=False,
        ev_target_voltage=amount(voltage_v, Unit.V),
    )


def parameters(voltage_v: float = 420.0, current_a: float = 100.0) -> din.DcEvChargeParameter:
    return din.DcEvChargeParameter(
        dc_ev_status=STATUS,
        ev_maximum_current_limit=amount(current_a, Unit.A),
        ev_maximum_voltage_limit=amount(voltage_v, Unit.V),
    )


REQUESTS: dict[str, din.BodyElement] = {
    "SessionSetup": din.SessionSetupReq(evcc_id=b"\x02\x00\x00\x00\x00\x01"),
    "ServiceDiscovery": din.ServiceDiscoveryReq(),
    "ServiceDetail": din.ServiceDetailReq(service_id=1),
    "ServicePaymentSelection": din.ServicePaymentSelectionReq(
        selected_payment_option=din.PaymentOption.ExternalPayment,
        selected_service_list=din.SelectedServiceList(
            selected_service=(din.SelectedService(service_id=1),)
        ),
    ),
    "PaymentDetails": din.PaymentDetailsReq(
        contract_id="DE8AA1A2B3C4D5", contract_signature_cert_chain=CHAIN
    ),
    "ContractAuthentication": din.ContractAuthenticationReq(),
    "ChargeParameterDiscovery": din.ChargeParameterDiscoveryReq(
        ev_requested_energy_transfer_type=din.EvRequestedEnergyTransferType.DC_extended,
        ev_charge_parameter=parameters(),
    ),
    "CableCheck": din.CableCheckReq(dc_ev_status=STATUS),
    "PreCharge": din.PreChargeReq(
        dc_ev_status=STATUS,
        ev_target_voltage=amount(380.0, Unit.V),
        ev_target_current=amount(1.0, Unit.A),
    ),
    "PowerOn": power_delivery(on=True),
    "PowerOff": power_delivery(on=False),
    "CurrentDemand": current_demand(),
    "WeldingDetection": din.WeldingDetectionReq(dc_ev_status=STATUS),
    "SessionStop": din.SessionStopReq(),
    "ChargingStatus": din.ChargingStatusReq(),
    "MeteringReceipt": din.MeteringReceiptReq(
        session_id=SESSION_ID, meter_info=din.MeterInfo(meter_id="1")
    ),
    "CertificateUpdate": din.CertificateUpdateReq(
        id="ID1",
        contract_signature_cert_chain=CHAIN,
        contract_id="DE8AA1A2B3C4D5",
        list_of_root_certificate_ids=ROOTS,
        dh_params=b"\x01",
    ),
    "CertificateInstallation": din.CertificateInstallationReq(
        id="ID1",
        oem_provisioning_cert=b"\x30",
        list_of_root_certificate_ids=ROOTS,
        dh_params=b"\x01",
    ),
}

PATH = [
    # request before it, state
    ("", S.SESSION_SETUP),
    ("SessionSetup", S.SERVICE_DISCOVERY),
    ("ServiceDiscovery", S.PAYMENT_SELECTION),
    ("ServicePaymentSelection", S.AUTHORISATION),
    ("ContractAuthentication", S.PARAMETERS),
    ("ChargeParameterDiscovery", S.CABLE_CHECK),
    ("CableCheck", S.CABLE_CHECKED),
    ("PreCharge", S.PRE_CHARGE),
    ("PowerOn", S.CHARGE),
    ("PowerOff", S.STOPPED),
    ("SessionStop", S.DISCONNECT),
]
"""The good case; RAMP_DOWN, WAIT_STATE_B and FAILED branch off from it."""


def sap_request(
    *offers: tuple[str, int, int, int, int],
) -> bytes:
    """(namespace, major, minor, schema id, priority) as a frame."""
    entries = tuple(
        sap.AppProtocol(
            protocol_namespace=ns,
            version_number_major=major,
            version_number_minor=minor,
            schema_id=schema_id,
            priority=priority,
        )
        for ns, major, minor, schema_id, priority in offers
    )
    payload = sap.encode(sap.SupportedAppProtocolReq(app_protocol=entries))
    return v2gtp.encode(v2gtp.PayloadType.EXI, payload)


DIN_OFFER = (din.NAMESPACE, 2, 0, 1, 1)


class Bench:
    """A charger core at a fixed time, with a power report that says what is wanted."""

    def __init__(self, config: SeccConfig | None = None) -> None:
        self.now = NOW
        self.secc = Secc(config, rng)
        self.outputs: list[Output] = []
        self.signal(report(self.now))
        self.signal(pilot("B2"))

    def signal(self, signal: Output) -> list[Output]:
        self.outputs = self.secc.receive_signal(signal, self.now)
        return self.outputs

    def report(self, **changes: object) -> list[Output]:
        return self.signal(report(self.now, **changes))

    def open(self) -> "Bench":
        self.secc.connection_made(self.now)
        self.outputs = self.secc.receive_data(sap_request(DIN_OFFER), self.now)
        return self

    def ask(self, name: str, session_id: bytes = SESSION_ID) -> list[Output]:
        self.outputs = self.secc.receive_data(frame(REQUESTS[name], session_id), self.now)
        return self.outputs

    def send(self, body: din.BodyElement) -> list[Output]:
        self.outputs = self.secc.receive_data(frame(body), self.now)
        return self.outputs

    def later(self, seconds: float) -> list[Output]:
        """Let time pass, with every timer fired at its time, and no report."""
        end = self.now + seconds
        self.outputs = []
        while (at := self.secc.next_timer()) is not None and at <= end:
            self.now = at
            self.outputs += self.secc.handle_timer(at)
        self.now = end
        return self.outputs

    def to(self, state: S) -> "Bench":
        """Walk the good case up to a state."""
        self.open()
        target = {S.RAMP_DOWN: S.CHARGE, S.WAIT_STATE_B: S.STOPPED, S.FAILED: S.CHARGE}
        for name, reached in PATH:
            self._prepare(name)
            if name:
                self.ask(name)
            assert self.secc.state is reached, (name, self.outputs)
            if reached is target.get(state, state):
                break
        if state is S.RAMP_DOWN:
            self.report(voltage_v=400.0, current_a=50.0, contactors_closed=True)
            self.ask("PowerOff")
        elif state is S.WAIT_STATE_B:
            self.ask("WeldingDetection")
        elif state is S.FAILED:
            self.ask("CableCheck")
        assert self.secc.state is state
        return self

    def _prepare(self, name: str) -> None:
        """Let the world do what it does before this request."""
        if name == "CableCheck":
            self.signal(pilot("C2"))
            self.ask("CableCheck")  # starts the check: Ongoing
            self.passed()
        elif name in ("PowerOn", "PowerOff"):
            self.passed()
        elif name == "SessionStop":
            self.signal(pilot("B2"))

    def passed(self, **changes: object) -> None:
        self.report(
            contactors_closed=True,
            cable_check=CableCheckState.PASSED,
            isolation=IsolationStatus.VALID,
            **changes,
        )

    def code(self) -> str:
        """ResponseCode of the one answer."""
        (body,) = bodies(self.outputs)
        code: din.ResponseCode = body.response_code  # type: ignore[attr-defined]
        return str(code.value)

    def body(self) -> din.BodyElement:
        (body,) = bodies(self.outputs)
        return body
