"""Charger and vehicle over a network in virtual time: the good case, and all that goes wrong."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from controller.signals import (
    ContactorRequest,
    EmergencyStop,
    MessageSent,
    Output,
    OutputRequest,
    Phase,
    S2Request,
    SendData,
    StopRequest,
)
from controller.v2g.evcc import EvccConfig
from controller.v2g.evcc_din_table import S as EvccS
from controller.v2g.sim import Faults, SimNetwork
from tests.v2g.helpers import MAC, World

REQUESTS = [
    "supportedAppProtocolReq",
    "SessionSetupReq",
    "ServiceDiscoveryReq",
    "ServicePaymentSelectionReq",
    "ContractAuthenticationReq",
    "ChargeParameterDiscoveryReq",
    "CableCheckReq",
    "PreChargeReq",
    "PowerDeliveryReq",
    "CurrentDemandReq",
    "WeldingDetectionReq",
    "SessionStopReq",
]
RESPONSES = [name.replace("Req", "Res") for name in REQUESTS]

GOOD_PHASES = [Phase.CONNECTED, Phase.CABLE_CHECK, Phase.PRE_CHARGE, Phase.CHARGE, Phase.STOPPING]


def assert_safe(world: World) -> None:
    """Both sides ended with a reason; nothing is closed or on; S2 is open."""
    assert set(world.ends) == {"evse", "pev"}, world.requests()[-5:]
    assert all(end.reason for end in world.ends.values()), world.ends
    assert world.charger.request.phase in (Phase.IDLE, Phase.CONNECTED, Phase.STOPPING, Phase.FAULT)
    assert not world.charger.closed
    assert not world.car.closed
    assert not world.car.s2


def test_the_good_case() -> None:
    world = World()
    world.run()
    assert_safe(world)
    seen = list(dict.fromkeys(world.requests()))
    assert seen == REQUESTS
    assert set(world.codes()) == {"OK_SuccessfulNegotiation", "OK_NewSessionEstablished", "OK"}
    assert world.phases("evse") == GOOD_PHASES
    assert world.phases("pev") == GOOD_PHASES
    assert world.ends["pev"].reason == "target of 52 % reached"
    assert world.ends["evse"].reason == "vehicle finished charging"
    assert all(end.normal for end in world.ends.values())


def test_the_order_of_what_moves_in_the_vehicle() -> None:
    world = World()
    world.run()
    moves = [
        o.name if isinstance(o, MessageSent) else f"{type(o).__name__} {o.closed}"
        for _, side, o in world.trace
        if side == "pev" and isinstance(o, MessageSent | ContactorRequest | S2Request)
    ]
    assert list(dict.fromkeys(moves))[5:] == [
        "ChargeParameterDiscoveryReq",
        "S2Request True",
        "CableCheckReq",
        "PreChargeReq",
        "ContactorRequest True",
        "PowerDeliveryReq",
        "CurrentDemandReq",
        "ContactorRequest False",
        "S2Request False",
        "WeldingDetectionReq",
        "SessionStopReq",
    ]


def test_the_charge_loop_keeps_its_interval() -> None:
    world = World(evcc_config=EvccConfig(MAC, 52, current_demand_interval_s=0.1))
    world.run()
    at = [t for t, _, o in world.trace if o == MessageSent("CurrentDemandReq", "din")]
    gaps = [b - a for a, b in pairwise(at[:-2])]
    assert gaps == pytest.approx([0.1] * len(gaps))
    assert len(gaps) > 10


@pytest.mark.parametrize(
    "faults",
    [
        Faults(split=1),
        Faults(split=7),
        Faults(coalesce_s=0.02),
        Faults(split=3, coalesce_s=0.02),
        Faults(drop_datagram=lambda n: n < 5),
        Faults(duplicate_datagram=lambda n: True),
    ],
)
def test_a_bad_network_changes_nothing(faults: Faults) -> None:
    world = World()
    world.network.faults = faults
    world.step()  # the first request went out before
    world.run()
    assert_safe(world)
    assert world.ends["pev"].normal
    assert world.phases("evse") == GOOD_PHASES


def test_a_slow_network_ends_the_loop_after_250_ms() -> None:
    world = World(network=SimNetwork(latency_s=0.13))
    world.run()
    assert_safe(world)
    assert world.ends["pev"].reason == "charger did not answer CurrentDemandReq in time"


When = Callable[[World, str, Output], bool]


def once(when: When, act: Callable[[World], None]) -> Callable[[World, str, Output], None]:
    """Do something right after the first output that fits."""
    done: list[bool] = []

    def watch(world: World, side: str, output: Output) -> None:
        if not done and when(world, side, output):
            done.append(True)
            act(world)

    return watch


def sends(name: str) -> When:
    return lambda world, side, output: isinstance(output, MessageSent) and output.name == name


def kill(world: World) -> None:
    world.network.kill(world.now)


def silence(side: str) -> Callable[[World], None]:
    return lambda world: world.network.faults.silent.add(side)


@pytest.mark.parametrize("name", REQUESTS + RESPONSES)
def test_a_connection_lost_at_each_message(name: str) -> None:
    world = World(watch=once(sends(name), kill))
    world.run()
    assert_safe(world)
    if name not in ("SessionStopReq", "SessionStopRes"):
        assert not world.ends["evse"].normal
        assert not world.ends["pev"].normal


@pytest.mark.parametrize("name", REQUESTS)
def test_a_charger_silent_from_each_message_on(name: str) -> None:
    world = World(watch=once(sends(name), silence("evse")))
    begun = world.now
    world.run()
    assert_safe(world)
    at = next(t for t, side, o in world.trace if side == "pev" and o is world.ends["pev"])
    assert at - begun < 15.0


@pytest.mark.parametrize("name", RESPONSES)
def test_a_vehicle_silent_from_each_message_on(name: str) -> None:
    world = World(watch=once(sends(name), silence("pev")))
    world.run()
    assert_safe(world)
    if name != "SessionStopRes":
        assert not world.ends["evse"].normal


@pytest.mark.parametrize("name", REQUESTS + RESPONSES)
def test_unplugged_at_each_message(name: str) -> None:
    world = World(watch=once(sends(name), World.unplug))
    world.run()
    assert_safe(world)


def emergency(world: World) -> None:
    world.take("evse", world.secc.receive_signal(EmergencyStop("button"), world.now))


@pytest.mark.parametrize("name", RESPONSES[1:])
def test_emergency_stop_at_each_message(name: str) -> None:
    world = World(watch=once(sends(name), emergency))
    world.run()
    assert_safe(world)
    if name not in ("SessionStopRes", "supportedAppProtocolRes"):
        assert world.charger.request.phase in (Phase.FAULT, Phase.STOPPING)
        assert not world.ends["evse"].normal


def stop_by(side: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        core = world.secc if side == "evse" else world.evcc
        world.take(side, core.receive_signal(StopRequest(f"wish of {side}"), world.now))

    return act


@pytest.mark.parametrize("name", REQUESTS + RESPONSES)
@pytest.mark.parametrize("side", ["evse", "pev"])
def test_a_stop_from_either_side_at_each_message(side: str, name: str) -> None:
    world = World(watch=once(sends(name), stop_by(side)))
    world.run()
    assert_safe(world)
    late = ("PowerDelivery", "CurrentDemand", "WeldingDetection", "SessionStop")
    if name.startswith("CurrentDemand"):
        assert all(end.normal for end in world.ends.values()), world.ends
        assert world.ends[side].reason == f"wish of {side}"
        assert world.phases(side) == GOOD_PHASES
    elif not name.startswith(late):
        assert Phase.CHARGE not in world.phases("evse")


def test_no_current_flows_when_the_vehicle_opens_its_contactors() -> None:
    def check(world: World, side: str, output: Output) -> None:
        if side == "pev" and output == ContactorRequest(False):
            assert world.charger.current_a < 1.0

    for act in (stop_by("evse"), stop_by("pev")):
        stop = once(sends("CurrentDemandRes"), act)

        def watch(
            world: World,
            side: str,
            output: Output,
            stop: Callable[[World, str, Output], None] = stop,
        ) -> None:
            stop(world, side, output)
            check(world, side, output)

        world = World(watch=watch)
        world.run()
        assert_safe(world)


def test_a_failed_cable_check_ends_on_both_sides() -> None:
    world = World()
    world.charger.fails_check = True
    world.run()
    assert_safe(world)
    assert Phase.PRE_CHARGE not in world.phases("evse")
    assert world.ends["pev"].reason == "charger answered CableCheckRes FAILED (EVSE_Malfunction)"
    assert world.ends["evse"].reason.startswith("CableCheckRes FAILED")


@pytest.mark.parametrize("phase", [Phase.CABLE_CHECK, Phase.PRE_CHARGE, Phase.CHARGE])
def test_a_battery_that_fails_ends_in_safety(phase: Phase) -> None:
    def fail(world: World) -> None:
        world.car.ready = False

    def entered(world: World, side: str, output: Output) -> bool:
        return isinstance(output, OutputRequest) and output.phase is phase

    world = World(watch=once(entered, fail))
    world.run()
    assert_safe(world)
    assert world.ends["pev"].reason == "battery is not ready"


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_from_the_peer_never_raise(seed: int) -> None:
    rng = random.Random(seed)
    side = rng.choice(["evse", "pev"])
    name = rng.choice(RESPONSES if side == "evse" else REQUESTS)

    def garble(world: World, at: str, output: Output) -> None:
        if isinstance(output, SendData) and at == side and world.requests()[-1:] == [name]:
            data = bytearray(output.data)
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(8, len(data))] = rng.randrange(256)
            world.network.send_data(at, bytes(data), world.now)
            world.network.send_data(at, rng.randbytes(rng.randrange(200)), world.now)

    world = World(watch=garble)
    world.run()
    assert_safe(world)


def test_the_vehicle_waits_for_its_contactors_before_power_delivery() -> None:
    world = World()
    states: list[bool] = []

    def watch(w: World, side: str, output: Output) -> None:
        if output == MessageSent("PowerDeliveryReq", "din") and w.evcc.state is EvccS.POWER_ON:
            states.append(w.car.closed)

    world.watch = watch
    world.run()
    assert states == [True]
