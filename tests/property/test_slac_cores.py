"""Properties of the modem and SLAC cores: no frame and no order of events makes them raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.plc import wire
from controller.plc.modem import Modem
from controller.plc.sim import SimPowerline, seeded_rng
from controller.plc.sim_modem import SimModem
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    SetModemKey,
    StartSlac,
    StopSlac,
    WatchLink,
)
from controller.slac.evse import EvseSlac
from controller.slac.pev import PevSlac
from tests.property.test_plc_wire import mmes

if TYPE_CHECKING:
    from collections.abc import Callable

MAC = bytes.fromhex("020000000001")
PEER = bytes.fromhex("020000000002")
Core = EvseSlac | PevSlac | Modem

MAKERS: list[Callable[[], Core]] = [
    lambda: EvseSlac(MAC, seeded_rng("evse")),
    lambda: PevSlac(MAC, seeded_rng("pev")),
    lambda: Modem(MAC),
]
SIGNALS = st.sampled_from(
    [
        StartSlac(),
        StopSlac(),
        ModemFailed("x"),
        ModemFound(PEER, "MAC"),
        LinkChanged(True),
        WatchLink(True),
        SetModemKey(bytes(7), bytes(16)),
    ]
)
DSTS = st.sampled_from([MAC, wire.BROADCAST])
FRAMES = st.one_of(
    st.builds(lambda dst, m: wire.build(dst, PEER, m), DSTS, mmes()),
    st.builds(lambda dst, b: dst + PEER + b"\x88\xe1" + b, DSTS, st.binary(max_size=120)),
)
STEPS = st.one_of(SIGNALS, FRAMES, st.floats(0.0, 15.0), st.just("confirm"))


def feed(core: Core, step: Output | bytes | float | str, now: float) -> list[Output]:
    match step:
        case bytes():
            return core.receive_frame(step, now)
        case float():
            return core.handle_timer(now)
        case str():
            return core.receive_signal(ModemKeySet(getattr(core, "nid", b"")), now)
        case _:
            return core.receive_signal(step, now)


@settings(max_examples=150)
@given(st.sampled_from(MAKERS), st.lists(STEPS, max_size=25))
def test_any_order_of_events(
    make: Callable[[], Core], steps: list[Output | bytes | float | str]
) -> None:
    core = make()
    now = 0.0
    for step in steps:
        if isinstance(step, float):
            now += step
        outputs = feed(core, step, now)
        assert all(isinstance(o, Output) for o in outputs)
        at = core.next_timer()
        if isinstance(step, float) and at is not None:
            assert at > now or core.handle_timer(now) is not None


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 1), FRAMES), max_size=20))
def test_simulated_powerline_takes_anything(frames: list[tuple[int, bytes]]) -> None:
    line = SimPowerline([SimModem(MAC), SimModem(PEER)])
    for i, (source, frame) in enumerate(frames):
        for index, delivered in line.receive_frame(source, frame, float(i)):
            assert index in (0, 1)
            assert len(delivered) >= 14
