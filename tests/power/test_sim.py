"""The simulated DC side: step size does not matter, faults do what they say."""

from __future__ import annotations

import random
from timeit import repeat
from typing import TYPE_CHECKING

import pytest

from controller.errors import ConfigError
from controller.power.sim import (
    DcCircuit,
    SimCircuitContactors,
    SimContactors,
    SimEmergencyStop,
    SimIsolationMonitor,
    SimPowerModule,
    SimVehicle,
)
from controller.power.sim_battery import SimBattery, interpolate
from controller.signals import SetOutput

if TYPE_CHECKING:
    from controller.power.port import (
        ContactorPort,
        EmergencyStopPort,
        IsolationPort,
        PowerModulePort,
        VehiclePort,
    )


def linked(current_a: float = 100.0, voltage_v: float = 410.0) -> DcCircuit:
    circuit = DcCircuit()
    circuit.advance(0.0)
    circuit.evse_contactors.set_closed(True)
    circuit.inlet_contactors.set_closed(True)
    circuit.advance(1.0)
    circuit.self_off_s = 1e9
    circuit.setpoint = SetOutput(voltage_v, current_a, True)
    return circuit


def run(circuit: DcCircuit, until: float, step_s: float) -> DcCircuit:
    assert circuit.now is not None
    start, steps = circuit.now, round((until - circuit.now) / step_s)
    for i in range(1, steps + 1):
        circuit.advance(start + i * step_s)
    return circuit


@pytest.mark.parametrize("step_s", [0.001, 0.005, 0.25, 1.0])
def test_the_step_does_not_matter_while_charging(step_s: float) -> None:
    reference = run(linked(), 101.0, 0.005)
    circuit = run(linked(), 101.0, step_s)
    assert circuit.voltage_v == pytest.approx(reference.voltage_v, rel=1e-5)
    assert circuit.current_a == pytest.approx(reference.current_a, rel=1e-5)
    assert circuit.energy_wh == pytest.approx(reference.energy_wh, rel=1e-4)
    assert circuit.battery.soc_percent == pytest.approx(reference.battery.soc_percent, rel=1e-6)


@pytest.mark.parametrize("step_s", [0.005, 0.05, 0.5])
@pytest.mark.parametrize(
    ("start_v", "setpoint", "at_s"),
    [
        (0.0, SetOutput(400.0, 2.0, True), 0.5),
        (400.0, SetOutput(200.0, 2.0, True), 0.5),
        (400.0, SetOutput(0.0, 0.0, False), 0.5),
    ],
)
def test_the_step_does_not_matter_without_load(
    start_v: float, setpoint: SetOutput, at_s: float, step_s: float
) -> None:
    def at(step: float) -> float:
        circuit = DcCircuit()
        circuit.advance(0.0)
        circuit.voltage_v, circuit.setpoint = start_v, setpoint
        return run(circuit, at_s, step).voltage_v

    assert at(step_s) == pytest.approx(at(0.001), rel=1e-9)


def test_energy_arrives() -> None:
    circuit = run(linked(), 3601.0, 0.25)
    delivered_ah = (circuit.battery.soc_percent - 20.0) / circuit.battery._percent_per_as / 3600
    assert delivered_ah == pytest.approx(100.0, rel=0.01)
    assert circuit.energy_wh == pytest.approx(delivered_ah * 370.0, rel=0.05)


def test_constant_voltage_and_power_limits() -> None:
    circuit = run(linked(voltage_v=350.0), 5.0, 0.25)
    assert circuit.voltage_v == pytest.approx(350.0, abs=0.2)
    assert circuit.current_a < 100.0
    circuit = run(linked(current_a=125.0, voltage_v=500.0), 5.0, 0.25)
    circuit.envelope = type(circuit.envelope)(150.0, 500.0, 0.0, 125.0, 20_000.0)
    run(circuit, 10.0, 0.25)
    assert circuit.voltage_v * circuit.current_a == pytest.approx(20_000.0, rel=0.01)


def test_a_module_below_the_battery_gives_nothing_and_takes_nothing() -> None:
    circuit = run(linked(voltage_v=300.0), 5.0, 0.25)
    assert circuit.current_a == 0.0


def test_contacts_move_within_a_step() -> None:
    coarse, fine = DcCircuit(), DcCircuit()
    for circuit, step_s in ((coarse, 0.25), (fine, 0.001)):
        circuit.advance(0.0)
        circuit.evse_contactors.set_closed(True)
        circuit.setpoint = SetOutput(400.0, 2.0, True)
        run(circuit, 0.5, step_s)
    assert coarse.inlet_voltage_v == pytest.approx(fine.inlet_voltage_v)
    assert coarse.inlet_voltage_v == coarse.voltage_v > 100.0


def test_closing_on_a_voltage_and_opening_under_load_are_recorded() -> None:
    circuit = DcCircuit()
    circuit.advance(0.0)
    circuit.voltage_v = 400.0
    circuit.setpoint = SetOutput(400.0, 2.0, True)
    circuit.evse_contactors.set_closed(True)
    circuit.advance(0.1)
    assert circuit.worst_closing_step_v == pytest.approx(400.0)
    loaded = run(linked(), 5.0, 0.25)
    loaded.evse_contactors.set_closed(False)
    loaded.advance(5.1)
    assert loaded.worst_opening_current_a == pytest.approx(100.0)
    assert loaded.current_a < 1.0


def test_welding_is_visible_at_the_inlet() -> None:
    circuit = run(linked(), 5.0, 0.25)
    circuit.setpoint = SetOutput(0.0, 0.0, False)
    circuit.evse_contactors.set_closed(False)
    circuit.inlet_contactors.welded = True
    circuit.inlet_contactors.set_closed(False)
    run(circuit, 10.0, 0.25)
    assert circuit.inlet_voltage_v > 300.0
    circuit.inlet_contactors.welded = False
    circuit.inlet_contactors.set_closed(True)
    circuit.inlet_contactors.set_closed(False)
    run(circuit, 15.0, 0.25)
    assert circuit.inlet_voltage_v < 1.0


def test_a_short_circuit_holds_the_voltage_down() -> None:
    circuit = DcCircuit()
    circuit.advance(0.0)
    circuit.evse_contactors.set_closed(True)
    circuit.load_ohm = 10.0
    circuit.setpoint = SetOutput(400.0, 2.0, True)
    run(circuit, 3.0, 0.25)
    assert circuit.voltage_v == pytest.approx(20.0)
    assert circuit.current_a == pytest.approx(2.0)


def test_a_silent_module_switches_itself_off() -> None:
    circuit = DcCircuit()
    module: PowerModulePort = SimPowerModule(circuit)
    module.set_output(SetOutput(400.0, 2.0, True), 0.0)
    module.read(2.0)
    circuit.silent = True
    assert not module.read(3.0).valid
    assert module.envelope(3.0).maximum_power_w == 0.0
    module.set_output(SetOutput(0.0, 0.0, False), 3.0)
    assert circuit.setpoint.on
    module.read(9.0)
    assert circuit.voltage_v == pytest.approx(400.0)
    for t in range(10, 20):
        module.read(float(t))
    assert circuit.voltage_v < 60.0


def test_over_voltage_fault() -> None:
    circuit = DcCircuit()
    circuit.over_voltage_v = 50.0
    module = SimPowerModule(circuit)
    module.set_output(SetOutput(400.0, 2.0, True), 0.0)
    assert module.read(5.0).voltage_v == pytest.approx(450.0)


def test_noise_repeats_with_its_seed() -> None:
    def trace(seed: int) -> list[float]:
        module = SimPowerModule(DcCircuit(), random.Random(seed).randbytes)
        return [module.read(i * 0.005).voltage_v for i in range(50)]

    assert trace(1) == trace(1) != trace(2)
    assert max(map(abs, trace(1))) <= 0.2


@pytest.mark.parametrize(
    ("fault", "after_close", "after_open"),
    [
        ({}, True, False),
        ({"stuck_open": True}, False, False),
        ({"welded": True}, True, True),
        ({"feedback_stuck": True}, True, True),
        ({"feedback_stuck": False}, False, False),
    ],
)
def test_contactors(fault: dict[str, bool], after_close: bool, after_open: bool) -> None:
    contactors: ContactorPort = SimContactors()
    for name, value in fault.items():
        setattr(contactors, name, value)
    contactors.read(0.0)
    contactors.set_closed(True)
    contactors.set_closed(True)
    assert contactors.read(0.029).closed is (fault.get("feedback_stuck") is True)
    assert contactors.read(0.031).closed is after_close
    contactors.set_closed(False)
    assert contactors.read(0.1).closed is after_open


def test_isolation_monitor() -> None:
    monitor = SimIsolationMonitor()
    port: IsolationPort = monitor
    assert not port.read(0.0).valid
    port.start_test()
    assert not port.read(1.0).valid
    assert not port.read(2.99).valid
    first = port.read(3.0)
    assert (first.valid, first.self_test_ok, first.resistance_ohm) == (True, True, 2_000_000.0)
    assert port.read(3.4) is first
    monitor.resistance_ohm = 50_000.0
    assert port.read(3.5).resistance_ohm == 50_000.0
    assert port.read(9.1).taken_at == pytest.approx(9.0)
    monitor.silent = True
    assert port.read(99.0).taken_at == pytest.approx(9.0)


def test_a_measurement_of_the_isolation_is_one_though_times_are_rounded() -> None:
    monitor, now = SimIsolationMonitor(), 0.001
    monitor.self_test_s = 1.0
    monitor.start_test()
    taken_at = set()
    for _ in range(600):
        reading = monitor.read(now)
        if reading.valid:
            taken_at.add(reading.taken_at)
        now += 0.005  # drifts away from the multiples of a period
    assert [round(at, 6) for at in sorted(taken_at)] == [1.001, 1.501, 2.001, 2.501]


def test_vehicle() -> None:
    circuit = run(linked(), 5.0, 0.25)
    vehicle = SimVehicle(circuit)
    port: VehiclePort = vehicle
    report = port.read(5.0)
    assert report.inlet_current_a == 100.0
    assert report.inlet_voltage_v == pytest.approx(report.battery_voltage_v)
    assert report.ready
    assert report.contactors_closed
    assert report.target_current_a == pytest.approx(interpolate(((5, 120), (50, 110)), 20), abs=0.1)
    vehicle.silent = True
    assert port.read(9.0) is report
    vehicle.silent, vehicle.fault = False, True
    assert not port.read(9.0).ready


def test_sides_and_emergency_stop_are_ports() -> None:
    circuit = DcCircuit()
    side: ContactorPort = SimCircuitContactors(circuit, circuit.inlet_contactors)
    side.read(0.0)
    side.set_closed(True)
    assert side.read(0.1).closed
    stop = SimEmergencyStop()
    port: EmergencyStopPort = stop
    assert not port.pressed()
    stop.is_pressed = True
    assert port.pressed()


@pytest.mark.parametrize(
    ("at", "value"), [(-1.0, 10.0), (0.0, 10.0), (50.0, 15.0), (100.0, 20.0), (101.0, 20.0)]
)
def test_interpolation(at: float, value: float) -> None:
    assert interpolate(((0.0, 10.0), (100.0, 20.0)), at) == value


def test_a_full_battery_stays_full() -> None:
    battery = SimBattery(99.9)
    battery.charge(1e6)
    assert battery.soc_percent == 100.0
    assert battery.accepted_current_a == 5.0


def test_battery_configuration_has_bounds() -> None:
    with pytest.raises(ConfigError):
        SimBattery(101.0)
    with pytest.raises(ConfigError):
        SimBattery(capacity_wh=0.0)
    with pytest.raises(ConfigError):
        SimBattery(charging=((0.0, 1.0),))
    with pytest.raises(ConfigError):
        SimBattery(open_voltage=((0.0, 1.0), (0.0, 2.0)))


def test_time_does_not_run_back() -> None:
    circuit = run(linked(), 5.0, 0.25)
    energy = circuit.energy_wh
    circuit.advance(4.0)
    assert (circuit.now, circuit.energy_wh) == (5.0, energy)


def test_a_step_is_cheap() -> None:
    """Budget a few us; failing at ten times that, because machines differ and are shared."""
    circuit = run(linked(), 5.0, 0.25)

    def advance() -> None:
        start = circuit.now or 0.0
        for i in range(1, 1001):
            circuit.advance(start + i * 0.005)

    assert min(repeat(advance, number=1, repeat=3)) / 1000 < 40e-6
