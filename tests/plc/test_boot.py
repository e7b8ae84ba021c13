"""Starting a modem without flash memory, and keeping what it wants kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.errors import WireError
from controller.plc import boot, pib, wire
from controller.plc import manage_plans as plans
from controller.plc import wire_vendor as vendor
from controller.plc.manage import KeepParameters, ManageDone, ManageFailed
from controller.plc.sim import SimPowerline, seeded_rng
from controller.plc.sim_modem import SimModem
from tests.plc.bench import HOST, MACS, Bench, carry_out, failure, line, result

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.signals import Output

FILE = pib.to_chain(SimModem(MACS[0]).image, manifest=b"manifest of a file......")
CODE = bytes(range(256)) * 22
FIRMWARE = pib.to_chain(CODE, pib.TYPE_FIRMWARE, entry=0x40)
NMK = bytes(range(16))


def flashless() -> SimPowerline:
    return line(flash=False, restart_s=0.5)


def host(wires: SimPowerline) -> Bench:
    return Bench(boot.BootHost(HOST, FILE, FIRMWARE, seeded_rng("boot")), wires)


def test_it_is_seen_in_its_boot_loader() -> None:
    (info,) = result(carry_out(plans.survey(), flashless()))
    assert (info.chip.name, info.firmware) == ("boot loader", "BootLoader")
    assert "ccs-pilot modem boot" in info.note


@pytest.mark.parametrize("size", [1, 1399, 1400, 1401, 2800, 5632])
def test_it_is_started_whatever_the_length_of_its_firmware(size: int) -> None:
    wires = flashless()
    firmware = pib.to_chain(CODE[:size] + bytes(-size % 4), pib.TYPE_FIRMWARE, entry=0x40)
    info = result(carry_out(boot.find_and_boot(FILE, firmware, 5), wires))
    assert info.firmware.startswith("MAC-QCA7420")
    assert wires.modems[0].is_booted
    assert wires.modems[0].image == pib.from_chain(FILE)


def test_one_that_runs_is_left_alone() -> None:
    assert "runs already" in failure(carry_out(boot.find_and_boot(FILE, FIRMWARE, 5)))


def test_silence_while_it_is_written_ends_it() -> None:
    wires = flashless()
    bench = carry_out(
        boot.find_and_boot(FILE, FIRMWARE, 5),
        wires,
        lose=lambda frame: frame[15:17] == b"\x99\xa0" and not wires.modems[0].is_booted,
    )
    assert "no answer to VS_WRITE_AND_EXECUTE_APPLET.REQ" in failure(bench)


@pytest.mark.parametrize(
    ("parameters", "firmware", "text"),
    [
        (b"", FIRMWARE, "checksum"),
        (FILE, FILE, "no runtime firmware"),
        (FILE, pib.to_chain(CODE, pib.TYPE_FIRMWARE), "no entry point"),
        (FILE, FIRMWARE[:-4], "damaged"),
        (FIRMWARE, FIRMWARE, "no parameter block"),
    ],
)
def test_wrong_files_are_refused_before_anything(
    parameters: bytes, firmware: bytes, text: str
) -> None:
    with pytest.raises(WireError, match=text):
        boot.BootHost(HOST, parameters, firmware, seeded_rng("x"))


def started(count: int) -> Callable[[list[Output]], bool]:
    return lambda out: sum(isinstance(o, ManageDone) for o in out) >= count


def test_the_host_action_is_served() -> None:
    wires = flashless()
    bench = host(wires)
    bench.run()
    assert isinstance(bench.out[-1], ManageDone)
    assert wires.modems[0].is_booted
    sent = [wire.parse(frame) for frame in bench.sent]
    assert isinstance(sent[0].mme, vendor.VsHostActionRsp)
    assert sent[0].dst == MACS[0]
    assert bench.core.state == "waiting"


def test_it_is_started_again_after_a_restart_with_what_it_wanted_kept() -> None:
    wires = flashless()
    bench = host(wires)
    bench.run()
    wires.modems[0].set_key(wire.nid_from_nmk(NMK), NMK, bench.now)
    bench.run(started(3))  # start, store, start
    (kept,) = [o for o in bench.out if isinstance(o, KeepParameters)]
    assert pib.read(pib.from_chain(kept.data), pib.NMK) == NMK
    assert wires.modems[0].nmk == NMK
    assert wires.modems[0].is_booted
    assert bench.core.factory == FILE


def test_factory_defaults_bring_back_the_first_file() -> None:
    wires = flashless()
    bench = host(wires)
    bench.run()
    bench.core.parameters = b"changed"
    loader = wires.modems[0].boot_loader
    assert loader is not None
    loader.wants = boot.HostAction.FACTORY_DEFAULTS
    bench.run(started(3))
    assert bench.core.parameters == FILE


@pytest.mark.parametrize("action", [4, 6, 255])
def test_unknown_wishes_are_told(action: int) -> None:
    core = boot.BootHost(HOST, FILE, FIRMWARE, seeded_rng("x"))
    frame = wire.build(HOST, MACS[0], vendor.VsHostActionInd(action=action))
    (failed,) = core.receive_frame(frame, 0.0)
    assert isinstance(failed, ManageFailed)
    assert f"host action {action}" in failed.reason


def test_nonsense_is_ignored() -> None:
    core = boot.BootHost(HOST, FILE, FIRMWARE, seeded_rng("x"))
    start = wire.build(MACS[1], MACS[0], vendor.VsHostActionInd(action=0))
    for frame in (b"", start, start[:20], HOST + start[6:18]):
        assert core.receive_frame(frame, 0.0) == []
    assert core.next_timer() is None
    assert core.handle_timer(1.0) == []
