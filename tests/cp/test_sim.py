"""The simulated pilot circuit: levels of each state, faults, noise that repeats."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from controller.cp.sim import Diode, PilotCircuit, SimEvsePilot, SimPevPilot

if TYPE_CHECKING:
    from controller.cp.port import EvsePilotPort, PevPilotPort


def circuit(**attributes: object) -> PilotCircuit:
    made = PilotCircuit()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("attributes", "high_v", "low_v"),
    [
        ({}, 12.0, 12.0),
        ({"duty": 0.05}, 12.0, -12.0),
        ({"duty": 0.0}, -12.0, -12.0),
        ({"plugged": True}, 8.98, 8.98),
        ({"plugged": True, "duty": 0.05}, 8.98, -12.0),
        ({"plugged": True, "duty": 0.05, "s2_closed": True}, 6.0, -12.0),
        ({"plugged": True, "duty": 0.05, "s2_closed": True, "r3_ohm": 270.0}, 2.93, -12.0),
        ({"plugged": True, "duty": 0.05, "diode": Diode.SHORTED}, 8.79, -8.79),
        ({"plugged": True, "duty": 0.05, "diode": Diode.OPEN}, 12.0, -12.0),
        ({"plugged": True, "duty": 0.05, "wire_open": True}, 12.0, -12.0),
        ({"plugged": True, "duty": 0.05, "short_ohm": 80.0}, 0.87, -0.89),
        ({"plugged": True, "duty": 0.05, "short_ohm": 1.0}, 0.012, -0.012),
        ({"supply_v": 0.0}, 0.0, 0.0),
        ({"duty": 0.05, "negative_supply_v": 0.0}, 12.0, 0.0),
    ],
)
def test_levels(attributes: dict[str, object], high_v: float, low_v: float) -> None:
    sample = circuit(**attributes).pilot_sample(1.0)
    assert sample.high_v == pytest.approx(high_v, abs=0.03)
    assert sample.low_v == pytest.approx(low_v, abs=0.03)
    assert sample.taken_at == 1.0


@pytest.mark.parametrize(
    ("attributes", "high_v", "duty"),
    [
        ({"duty": 0.05}, 0.0, 0.0),
        ({"duty": 0.05, "plugged": True}, 8.28, 0.05),
        ({"duty": 1.0, "plugged": True}, 8.28, 1.0),
        ({"duty": 0.0, "plugged": True}, 0.0, 0.0),
        ({"duty": 0.05, "plugged": True, "wire_open": True}, 0.0, 0.0),
        ({"duty": 0.05, "plugged": True, "diode": Diode.OPEN}, 0.0, 0.0),
        ({"duty": 0.05, "plugged": True, "diode": Diode.SHORTED}, 8.79, 0.05),
    ],
)
def test_inlet(attributes: dict[str, object], high_v: float, duty: float) -> None:
    sample = circuit(**attributes).inlet_sample(1.0)
    assert sample.high_v == pytest.approx(high_v, abs=0.03)
    assert sample.duty == duty
    assert sample.plugged is attributes.get("plugged", False)


def test_a_change_is_seen_at_once() -> None:
    made = circuit(plugged=True, duty=0.05)
    made.pilot_sample(1.0)
    made.s2_closed = True
    assert made.pilot_sample(1.1).high_v == pytest.approx(6.0, abs=0.03)


def test_noise_repeats_with_its_seed() -> None:
    def trace(seed: int) -> list[float]:
        noisy = PilotCircuit(random.Random(seed).randbytes, noise_v=0.1)
        return [noisy.pilot_sample(i / 200).high_v for i in range(200)]

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)
    assert max(trace(1)) <= 12.1
    assert min(trace(1)) >= 11.9
    assert len(set(trace(1))) > 100


def test_the_ports_drive_the_circuit() -> None:
    made = circuit(plugged=True)
    evse: EvsePilotPort = SimEvsePilot(made)
    pev: PevPilotPort = SimPevPilot(made)
    evse.set_duty(0.05)
    pev.set_s2(True)
    assert evse.read(1.0).high_v == pytest.approx(6.0, abs=0.03)
    assert pev.read(1.0).duty == 0.05
