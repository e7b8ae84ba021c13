"""A vehicle unit as two services against a charger as two services: a whole charge, then faults.

The vehicle's half that dies must open S2 and its contactors in time, the charger must notice by the
pilot, and the next plug-in must charge. Rounds in which the machine stood still are played again.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from controller.errors import PortError
from controller.site_link import free_udp_port
from tests.pair.rig import TooLateError, running
from tests.pair.rounds import SAFE_S, STALL_S, WATCHED_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pair.rig import Rig

TRIES = 4
FAULTS = [
    ("car-communication", signal.SIGKILL, SAFE_S),
    ("car-communication", signal.SIGSTOP, SAFE_S),
    ("car-realtime", signal.SIGKILL, WATCHED_S),
    ("car-realtime", signal.SIGSTOP, WATCHED_S),
]


def charge(rig: Rig) -> None:
    rig.plug()
    rig.wait(lambda: rig.plant.world.circuit.current_a > 10.0, "a charge")


def is_idle(rig: Rig) -> bool:
    """All four have seen the end, and nothing is closed."""
    told = {name: rig.services[name].told for name in ("communication", "car-communication")}
    states = [[t for t in lines if t.startswith("STATUS=")][-1:] for lines in told.values()]
    vehicle = rig.plant.vehicle
    assert vehicle is not None
    return states == [["STATUS=unplugged"]] * 2 and rig.plant.is_safe and not vehicle.is_active


def strike(rig: Rig, victim: str, action: signal.Signals, bound_s: float) -> list[str]:
    """One fault in a charge; returns what was wrong."""
    plant, wrong = rig.plant, list[str]()
    vehicle = plant.vehicle
    assert vehicle is not None
    charge(rig)
    rig.go_on(0.2)
    at = rig.loop.now()
    rig.services[victim].signal(action)
    rig.wait(lambda: plant.is_safe and not vehicle.is_active, "open on both sides", 6.0)
    if vehicle.moved_at - at > bound_s:
        wrong.append(f"the vehicle opened after {(vehicle.moved_at - at) * 1000:.0f} ms")
    rig.go_on(1.3)
    if not plant.is_safe or vehicle.is_active:
        wrong.append("closed again")
    if action is signal.SIGSTOP:
        rig.services[victim].signal(signal.SIGCONT)
    else:
        rig.start(victim)
    rig.unplug()
    rig.wait_ready(victim)
    rig.wait(lambda: is_idle(rig), "the end of it")
    return wrong


def play(folder: Path, victim: str, action: signal.Signals, bound_s: float) -> tuple[str, float]:
    """A charge, a fault, another charge; returns what was wrong, and how long the machine stood."""
    with running(folder, unit=True) as rig:
        rig.plant.worst_late_s = 0.0
        try:
            wrong = strike(rig, victim, action, bound_s)
            charge(rig)
            rig.unplug()
            rig.wait(lambda: is_idle(rig), "the end of the next one")
        except TooLateError as error:
            wrong = [str(error)]
        if victim == "car-realtime" and "the realtime process" not in rig.said("car-communication"):
            wrong.append("its end is not told")
        return "; ".join(wrong), rig.stalled_s({})


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("victim", "action", "bound_s"), FAULTS, ids=lambda value: getattr(value, "name", str(value))
)
def test_a_vehicle_unit_survives_its_own_halves(
    tmp_path: Path, victim: str, action: signal.Signals, bound_s: float
) -> None:
    try:
        free_udp_port()
    except PortError as error:
        pytest.skip(str(error))
    for number in range(TRIES):
        try:
            wrong, stalled_s = play(tmp_path / str(number), victim, action, bound_s)
        except TooLateError as error:  # it did not even start
            wrong, stalled_s = str(error), STALL_S
        if not wrong:
            return
        if stalled_s < STALL_S:
            break
    else:
        pytest.skip("this machine stands still too often to judge")
    pytest.fail(wrong)


def test_a_rig_that_waits_in_vain_says_so(tmp_path: Path) -> None:
    with (
        running(tmp_path, scripted=True) as rig,
        pytest.raises(TooLateError, match="pigs fly did not happen"),
    ):
        rig.wait(lambda: False, "pigs fly", 0.05)
