"""Managing a modem: every plan against the simulated modem, and what happens without answers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from controller.machine import lint_table
from controller.plc import manage_plans as plans
from controller.plc import pib, wire
from controller.plc import wire_modules as modules
from controller.plc import wire_vendor as vendor
from controller.plc.manage import (
    ANSWER_TRIES,
    ANSWER_WAIT_S,
    READ_WAIT_S,
    RESTART_MAX_S,
    Ask,
    KeepParameters,
    ManageDone,
    ManageFailed,
    Manager,
    Plan,
    Stage,
)
from tests.plc.bench import HOST, MACS, Bench, carry_out, failure, line, mmtypes, result

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plc.layout import Mme

NMK = bytes(range(16))
NID = wire.nid_from_nmk(NMK)


def test_table_is_clean() -> None:
    assert lint_table(Manager) == []


def test_survey_tells_everything() -> None:
    (info,) = result(carry_out(plans.survey()))
    assert (info.mac, info.chip.name, info.role) == (MACS[0], "QCA7420", "evse")
    assert info.link_up
    assert info.nid_in_use == pib.read(info.image, pib.NID)
    assert info.network_role == "coordinator"
    assert [(p.mac, p.tx_mbit, p.rx_mbit) for p in info.peers] == [(MACS[1], 9, 9)]
    assert info.note == ""


def test_survey_without_a_modem_is_empty_after_all_tries() -> None:
    bench = carry_out(plans.survey(), lose=lambda frame: True)
    assert result(bench) == []
    assert bench.now == pytest.approx(ANSWER_TRIES * ANSWER_WAIT_S)
    assert len(bench.sent) == ANSWER_TRIES


MISSING = [
    plans.inform(),
    plans.look_at_link(),
    plans.statistics(),
    plans.set_key(NID, NMK, b"abcd"),
    plans.reset(),
    plans.factory(),
    plans.backup(),
    plans.restore(b"", 1),
    plans.configure("evse", 1),
]


@pytest.mark.parametrize("plan", MISSING, ids=lambda plan: plan.__name__)
def test_no_modem_is_one_line_soon(plan: Plan) -> None:
    bench = carry_out(plan, lose=lambda frame: True)
    assert failure(bench).startswith("no modem answers: is it powered")
    assert bench.now < 2.0


def test_a_named_modem_that_is_not_there() -> None:
    bench = carry_out(plans.inform(bytes.fromhex("00b052aa0009")))
    assert "the modem 00:b0:52:aa:00:09 does not answer" in failure(bench)


def test_two_modems_must_be_told_apart() -> None:
    core = Manager(HOST, plans.find())
    core.handle_timer(0.0)
    version = vendor.VsSwVerCnf(device_class=0x20, length=1, version="x")
    for mac in (*MACS, MACS[0]):
        assert core.receive_frame(wire.build(HOST, mac, version), 0.1) == []
    (failed,) = core.handle_timer(1.0)
    assert isinstance(failed, ManageFailed)
    assert "several modems answer (00:b0:52:aa:00:01, 00:b0:52:aa:00:02)" in failed.reason


def test_key_is_set_and_the_restart_awaited() -> None:
    wires = line(restart_s=3.5)
    bench = carry_out(plans.set_key(NID, NMK, b"abcd"), wires)
    result(bench)
    assert (wires.modems[0].nid, wires.modems[0].nmk) == (NID, NMK)
    assert bench.now == pytest.approx(3.5, abs=1.1)


@pytest.mark.parametrize("plan", [plans.reset, plans.factory])
def test_restart_is_awaited(plan: Callable[[], Plan]) -> None:
    wires = line(restart_s=7.0)
    wires.modems[0].set_key(NID, NMK, -100.0)
    bench = carry_out(plan(), wires)
    result(bench)
    assert bench.now == pytest.approx(7.0, abs=1.1)
    assert (wires.modems[0].nmk == NMK) == (plan is plans.reset)


def test_a_modem_that_restarts_unnoticed_is_believed_after_a_while() -> None:
    bench = carry_out(plans.reset(), line(restart_s=0.0))
    result(bench)
    assert bench.now == pytest.approx(5.0, abs=1.1)


def test_a_modem_that_stays_away() -> None:
    bench = carry_out(plans.reset(), line(restart_s=1e6))
    assert "did not come back 30 s after its restart" in failure(bench)
    assert bench.now == pytest.approx(RESTART_MAX_S, abs=1.5)


def test_statistics() -> None:
    wires = line()
    wires.modems[0].sent = 7
    _, counters = result(carry_out(plans.statistics(), wires))
    assert counters.tx_mpdu_ok == 7


def test_backup_is_the_file_that_the_modem_has() -> None:
    wires = line()
    _, data = result(carry_out(plans.backup(), wires))
    assert pib.from_chain(data) == wires.modems[0].image


EXACT = {
    "evse": {0x74: b"EVSE" + bytes(60), 0xF4: b"\2", 0x1653: b"\2"},
    "pev": {0x74: b"PEV" + bytes(61), 0xF4: b"\1", 0x1653: b"\1"},
}
SPEEDS = {0x1C98: (10240).to_bytes(4, "little"), 0x1C9C: (102400).to_bytes(4, "little")}


@pytest.mark.parametrize("role", ["evse", "pev"])
def test_configure_writes_exactly_these_bytes(role: str) -> None:
    wires = line(slac_mode=pib.SLAC_OFF)
    before = bytes(wires.modems[0].image)
    bench = carry_out(plans.configure(role, 7), wires)
    expected = bytearray(before)
    for offset, value in (EXACT[role] | SPEEDS).items():
        expected[offset : offset + len(value)] = value
    assert wires.modems[0].image == bytes(expected)
    info = result(bench)
    assert pib.from_chain(info.parameters) == bytes(expected)
    assert info.role == role
    (kept,) = [o for o in bench.out if isinstance(o, KeepParameters)]
    assert kept.mac == MACS[0]
    assert pib.from_chain(kept.data) == before
    assert mmtypes(bench) == [0xA000, 0xA0B0, 0xA01C, 0xA000, 0xA0B0]


def test_backup_is_handed_out_before_anything_is_written() -> None:
    wires = line(slac_mode=pib.SLAC_OFF)
    bench = Bench(Manager(HOST, plans.configure("evse", 7)), wires)
    bench.run(lambda out: any(isinstance(o, KeepParameters) for o in out))
    assert all(f[25:27] in (b"\0\0", b"\x10\0") for f in bench.sent if f[15:17] == b"\xb0\xa0")
    assert sum(f[25:27] == b"\x10\0" for f in bench.sent if f[15:17] == b"\xb0\xa0") <= 1
    assert wires.modems[0].image == wires.modems[0].factory


def test_configure_twice_writes_once() -> None:
    wires = line(slac_mode=pib.SLAC_OFF)
    result(carry_out(plans.configure("evse", 7), wires))
    wires.modems[0].restarting_until = -1.0
    again = carry_out(plans.configure("evse", 8), wires)
    assert result(again).note == "unchanged"
    assert not [o for o in again.out if isinstance(o, KeepParameters)]


@pytest.mark.parametrize("chip", [{"device_class": 0x30}, {"device_class": 0x04}])
def test_configure_refuses_other_chips(chip: dict[str, int]) -> None:
    wires = line(firmware="MAC-1.0", chip_id=bytes(4), **chip)
    bench = carry_out(plans.configure("pev", 7), wires)
    assert failure(bench).startswith(
        ("the modem is of the kind AR7400", "QCA7500 cannot be a vehicle's")
    )
    assert wires.modems[0].image == wires.modems[0].factory


def test_restore_gives_back_the_bytes_of_the_file() -> None:
    wires = line()
    _, data = result(carry_out(plans.backup(), wires))
    result(carry_out(plans.configure("pev", 7), wires))
    wires.modems[0].restarting_until = -1.0
    result(carry_out(plans.restore(data, 9), wires))
    wires.modems[0].restarting_until = -1.0
    assert result(carry_out(plans.backup(), wires))[1] == data


def test_restore_refuses_the_file_of_another_modem() -> None:
    wires = line()
    other = pib.to_chain(wires.modems[1].image)
    assert "the file belongs to the modem 00:b0:52:aa:00:02" in failure(
        carry_out(plans.restore(other, 9), wires)
    )
    result(carry_out(plans.restore(other, 9, any_mac=True), wires))
    assert wires.modems[0].mac == MACS[1]


# --- disturbances --------------------------------------------------------------------------------


def every(nth: int) -> Callable[[bytes], bool]:
    """Lose each nth frame, in both directions."""
    seen = [0]

    def lose(frame: bytes) -> bool:
        seen[0] += 1
        return seen[0] % nth == 0

    return lose


@pytest.mark.parametrize("nth", [3, 5, 7])
def test_lost_frames_are_repeated(nth: int) -> None:
    wires = line(slac_mode=pib.SLAC_OFF)
    result(carry_out(plans.set_key(NID, NMK, b"abcd"), wires, lose=every(nth)))
    wires.modems[0].restarting_until = -1.0
    _, data = result(carry_out(plans.backup(), wires, lose=every(nth)))
    assert pib.from_chain(data) == wires.modems[0].image


def lose_answers(operation: int) -> Callable[[bytes], bool]:
    """Lose the confirms of one module operation."""
    return lambda frame: frame[15:17] == b"\xb1\xa0" and frame[29] == operation


@pytest.mark.parametrize(
    ("operation", "stage", "at_most_s"),
    [
        (modules.OP_READ_MEMORY, Stage.READING, 3 * READ_WAIT_S),
        (modules.OP_START, Stage.STAGING, 120),
        (modules.OP_WRITE, Stage.STAGING, 180),
        (modules.OP_CLOSE, Stage.COMMITTING, 90),
    ],
)
def test_silence_at_each_stage_is_bounded_and_named(
    operation: int, stage: Stage, at_most_s: float
) -> None:
    wires = line(slac_mode=pib.SLAC_OFF)
    bench = carry_out(plans.configure("evse", 7), wires, lose=lose_answers(operation))
    assert "no answer to VS_MODULE_OPERATION.REQ" in failure(bench)
    assert bench.core.stage is stage
    assert bench.now <= at_most_s + 1
    if stage is not Stage.COMMITTING:
        assert wires.modems[0].image == wires.modems[0].factory


@pytest.mark.parametrize("after", [0, 3, 12, 20])
def test_interruption_says_what_is_left(after: int) -> None:
    wires = line(slac_mode=pib.SLAC_OFF)
    bench = Bench(Manager(HOST, plans.configure("evse", 7)), wires)
    bench.run(lambda out: len(bench.sent) > after)
    (failed,) = bench.core.interrupt()
    assert isinstance(failed, ManageFailed)
    assert failed.reason == f"interrupted: {bench.core.stage.value}"
    assert bench.core.interrupt() == []
    assert bench.core.next_timer() is None
    assert bench.core.handle_timer(1e6) == []


def refusing(mme: Mme) -> Bench:
    """Answer the first question with `mme`; the plan has asked for a session."""
    plan = plans.write_module(MACS[0], modules.MODULE_PARAMETERS, bytes(8), 1)
    core = Manager(HOST, plan)
    bench = Bench(core, line(), lose=lambda frame: True)
    bench.out = core.handle_timer(0.0)
    bench.out = core.receive_frame(wire.build(HOST, MACS[0], mme), 0.1)
    return bench


@pytest.mark.parametrize(
    "start",
    [
        modules.VsModuleStartCnf(status=1, operation_length=17, session=1, modules=()),
        modules.VsModuleStartCnf(
            operation_length=17, session=1, modules=(modules.ModuleStatus(status=0x14),)
        ),
    ],
)
def test_refusals_end_the_plan(start: modules.VsModuleStartCnf) -> None:
    assert "the modem refuses a write session" in failure(refusing(start))


def test_answers_of_others_are_not_taken() -> None:
    asked = Ask(vendor.VsPlLnkStatusReq(), vendor.VsPlLnkStatusCnf, MACS[0])

    def plan() -> Plan:
        return (yield asked)

    core = Manager(HOST, plan())
    core.handle_timer(0.0)
    answer = vendor.VsPlLnkStatusCnf(link=1)
    for frame in (
        wire.build(HOST, MACS[1], answer),  # another modem
        wire.build(MACS[1], MACS[0], answer),  # for another host
        wire.build(HOST, MACS[0], vendor.VsRsDevCnf()),  # another message
        wire.build(HOST, MACS[0], answer)[:20],  # cut off
        b"",
    ):
        assert core.receive_frame(frame, 0.1) == []
        assert not core.has_ended
    core.receive_frame(wire.build(HOST, MACS[0], answer), 0.2)
    assert core.has_ended


@pytest.mark.parametrize("seed", range(60))
def test_damaged_answers_end_a_plan_but_never_raise(seed: int) -> None:
    """What the modem holds afterwards is the old block or the new one, whatever was received."""
    source = random.Random(seed)

    def change(frame: bytes) -> bytes:
        if source.random() < 0.8:
            return frame
        damaged = bytearray(frame[: source.choice([len(frame), source.randrange(len(frame))])])
        for _ in range(source.randrange(4)):
            if len(damaged) > 14:
                damaged[source.randrange(14, len(damaged))] = source.randrange(256)
        return bytes(damaged)

    wires = line(slac_mode=pib.SLAC_OFF)
    old = wires.modems[0].image
    new = pib.from_chain(pib.patched(pib.to_chain(old), pib.role_values("evse")))
    bench = carry_out(plans.configure("evse", 7), wires, change=change)
    assert isinstance(bench.out[-1], ManageDone | ManageFailed)
    wires.modems[0].restart(bench.now)
    assert wires.modems[0].image in (old, new)
    if isinstance(bench.out[-1], ManageDone):
        assert wires.modems[0].image == new
