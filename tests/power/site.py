"""A charger's power half on the simulated circuit, in virtual time: the loop in short."""

from __future__ import annotations

from dataclasses import replace

from controller.interlock import Interlock, Snapshot
from controller.power.contactors import Contactors, ContactorsConfig
from controller.power.sim import (
    DcCircuit,
    SimCircuitContactors,
    SimIsolationMonitor,
    SimPowerModule,
)
from controller.power.stage import PowerStage
from controller.signals import (
    CloseContactors,
    ContactorRequest,
    ControlPilotState,
    OpenContactors,
    Output,
    OutputRequest,
    Permits,
    Phase,
    SetOutput,
    StartIsolationTest,
)


class Site:
    """Power stage, contactors and interlock against the simulated circuit."""

    def __init__(self, period_s: float = 0.005) -> None:
        self.period_s = period_s
        self.now = 1000.0
        self.circuit = DcCircuit()
        self.module = SimPowerModule(self.circuit)
        self.contacts = SimCircuitContactors(self.circuit, self.circuit.evse_contactors)
        self.monitor = SimIsolationMonitor()
        self.stage = PowerStage()
        self.contactors = Contactors(ContactorsConfig(reclose_s=0.5))
        self.interlock = Interlock()
        self.pilot: ControlPilotState | None = ControlPilotState.C2
        self.emergency_stop = False
        self.heartbeat_at: float | None = None  # None: always fresh
        self.request = OutputRequest(Phase.CONNECTED)
        self.log: list[tuple[float, Output]] = []
        self.permits: Permits | None = None
        self.stage.receive_signal(self.module.envelope(self.now), self.now)

    def snapshot(self) -> Snapshot:
        now, reading = self.now, self.module.read(self.now)
        contacts = self.contacts.read(now)
        envelope = self.module.envelope(now)
        return Snapshot(
            now=now,
            pilot=self.pilot,
            pilot_power_s=1.0,
            pilot_age_s=0.0,
            diode_ok=True,
            heartbeat_age_s=0.0 if self.heartbeat_at is None else now - self.heartbeat_at,
            believed_phase=self.request.phase,
            requested_phase=self.stage.request.phase,
            voltage_v=reading.voltage_v,
            current_a=reading.current_a,
            reading_age_s=0.0,
            reading_valid=reading.valid,
            contactors_commanded=self.contactors.is_commanded,
            contactors_closed=self.contactors.is_closed if contacts.closed else contacts.closed,
            contactors_valid=contacts.valid,
            contactors_age_s=0.0,
            contactor_fault=self.contactors.fault,
            isolation=self.stage.isolation,
            cable_check=self.stage.cable_check,
            emergency_stop=self.emergency_stop,
            vehicle_maximum_v=self.stage.request.vehicle_maximum_voltage_v,
            charger_maximum_v=envelope.maximum_voltage_v,
            charger_maximum_a=envelope.maximum_current_a,
            hardware_interlock=True,
            interlock_tested=True,
            connector_unknown=False,
            coils_live=True,
        )

    def ask(self, phase: Phase, voltage_v: float = 0.0, current_a: float = 0.0) -> None:
        self.request = OutputRequest(phase, voltage_v, current_a, 420.0)
        self.obey(self.stage.receive_signal(self.request, self.now))

    def target(self, **changes: float) -> None:
        self.request = replace(self.request, **changes)  # type: ignore[arg-type]
        self.obey(self.stage.receive_signal(self.request, self.now))

    def tick(self) -> None:
        self.now += self.period_s
        now = self.now
        self.obey(self.contactors.receive_sample(self.module.read(now), now))
        self.obey(self.contactors.receive_sample(self.contacts.read(now), now))
        self.obey(self.stage.receive_sample(self.contacts.read(now), now))
        self.obey(self.stage.receive_sample(self.monitor.read(now), now))
        self.permits = self.interlock.evaluate(self.snapshot())
        self.obey(self.stage.receive_signal(self.permits, now))
        self.obey(self.contactors.receive_signal(self.permits, now))
        self.obey(self.stage.receive_sample(self.module.read(now), now))
        for core in (self.stage, self.contactors):
            due = core.next_timer()
            if due is not None and due <= now:
                self.obey(core.handle_timer(now))
                due = core.next_timer()
            assert due is None or due > now, "a timer that fires must move on"

    def obey(self, outputs: list[Output]) -> None:
        for output in outputs:
            self.log.append((self.now, output))
            match output:
                case SetOutput():
                    self.module.set_output(output, self.now)
                case ContactorRequest():
                    self.obey(self.contactors.receive_signal(output, self.now))
                case CloseContactors():
                    self.contacts.set_closed(True)
                case OpenContactors():
                    self.contacts.set_closed(False)
                case StartIsolationTest():
                    self.monitor.start_test()
                case _:
                    pass

    def run(self, seconds: float) -> None:
        until = self.now + seconds - 1e-9
        while self.now < until:
            self.tick()

    def run_until(self, state: object, within_s: float) -> float:
        """Run until the stage is in this state; return how long it took."""
        start = self.now
        while self.stage.state is not state:
            assert self.now - start < within_s, (self.stage.state, self.stage.failure)
            self.tick()
        return self.now - start

    def state_name(self) -> str:
        return self.stage.state.value

    def last_setpoint(self) -> SetOutput:
        return next(o for _, o in reversed(self.log) if isinstance(o, SetOutput))
