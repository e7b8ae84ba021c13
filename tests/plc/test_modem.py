"""The modem core: probing, keys with retries, link watching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.machine import lint_table
from controller.plc import wire
from controller.plc.modem import ANSWER_WAIT_S, KEY_TRIES, LINK_SILENT_S, Modem
from controller.plc.wire_vendor import (
    VsPlLnkStatusCnf,
    VsPlLnkStatusReq,
    VsSwVerCnf,
    VsSwVerReq,
)
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    SendFrame,
    SetModemKey,
    WatchLink,
)

if TYPE_CHECKING:
    from controller.plc.layout import Mme

MAC = bytes.fromhex("020000000001")
MODEM = bytes.fromhex("00b052aa0001")
OTHER = bytes.fromhex("00b052aa0002")
KEY = SetModemKey(bytes(7), bytes(16))


def sent(outputs: list[Output]) -> list[Mme]:
    return [wire.parse(o.frame).mme for o in outputs if isinstance(o, SendFrame)]


def facts(outputs: list[Output]) -> list[Output]:
    return [o for o in outputs if not isinstance(o, SendFrame)]


def answer(modem: Modem, mme: Mme, now: float, src: bytes = MODEM) -> list[Output]:
    return modem.receive_frame(wire.build(MAC, src, mme), now)


def version(text: str = "MAC-QCA7420-1.4.0.20") -> VsSwVerCnf:
    return VsSwVerCnf(device_class=0x20, length=len(text), version=text)


def ready() -> Modem:
    modem = Modem(MAC, "eth1")
    modem.handle_timer(0.0)
    answer(modem, version(), 0.001)
    return modem


def test_table_is_clean() -> None:
    assert lint_table(Modem) == []


def test_probe_finds_the_modem_once() -> None:
    modem = Modem(MAC, "eth1")
    assert modem.next_timer() == 0.0
    assert sent(modem.handle_timer(0.0)) == [VsSwVerReq()]
    assert answer(modem, version(), 0.01) == [ModemFound(MODEM, "MAC-QCA7420-1.4.0.20")]
    assert answer(modem, version(), 0.02) == []
    assert modem.next_timer() is None


def test_silence_is_said_once_and_asked_on() -> None:
    modem = Modem(MAC, "eth1")
    said = []
    for _ in range(20):
        at = modem.next_timer()
        assert at is not None
        said += facts(modem.handle_timer(at))
    assert said == [ModemFailed("no modem answers on eth1")]
    assert isinstance(answer(modem, version(), 100.0)[0], ModemFound)


def test_boot_loader_is_no_modem_yet() -> None:
    modem = Modem(MAC, "eth1")
    modem.handle_timer(0.0)
    (failed,) = answer(modem, version("BootLoader"), 0.01)
    assert isinstance(failed, ModemFailed)
    assert "firmware" in failed.reason
    assert isinstance(answer(modem, version(), 5.0)[0], ModemFound)


@pytest.mark.parametrize("lost", [0, 1, KEY_TRIES - 1])
def test_key_is_sent_until_confirmed(lost: int) -> None:
    modem = ready()
    (req,) = sent(modem.receive_signal(KEY, 1.0))
    assert isinstance(req, wire.CmSetKeyReq)
    assert (req.nid, req.nmk) == (KEY.nid, KEY.nmk)
    for i in range(lost):
        assert modem.next_timer() == pytest.approx(1.0 + (i + 1) * ANSWER_WAIT_S)
        assert sent(modem.handle_timer(1.0 + (i + 1) * ANSWER_WAIT_S)) == [req]
    cnf = wire.CmSetKeyCnf(result=1, your_nonce=req.my_nonce)
    assert answer(modem, cnf, 1.3 + lost) == [ModemKeySet(KEY.nid)]
    assert answer(modem, cnf, 1.4 + lost) == []


@pytest.mark.parametrize(
    ("result", "word"), [(None, "does not confirm"), (wire.KEY_NOT_APPLIED, "refuses")]
)
def test_key_that_is_never_confirmed_fails(result: int | None, word: str) -> None:
    modem = ready()
    modem.receive_signal(KEY, 1.0)
    said: list[Output] = []
    for i in range(KEY_TRIES):
        if result is not None:
            assert answer(modem, wire.CmSetKeyCnf(result=result), 1.0 + i) == []
        said += facts(modem.handle_timer(2.0 + i))
    assert len(said) == 1
    assert isinstance(said[0], ModemFailed)
    assert word in said[0].reason


def test_late_confirm_of_the_key_before_does_not_count() -> None:
    modem = ready()
    (first,) = sent(modem.receive_signal(KEY, 1.0))
    (second,) = sent(modem.receive_signal(SetModemKey(bytes([1] * 7), bytes(16)), 1.1))
    assert isinstance(first, wire.CmSetKeyReq)
    assert isinstance(second, wire.CmSetKeyReq)
    assert answer(modem, wire.CmSetKeyCnf(result=1, your_nonce=first.my_nonce), 1.2) == []
    cnf = wire.CmSetKeyCnf(result=1, your_nonce=second.my_nonce)
    assert answer(modem, cnf, 1.3) == [ModemKeySet(bytes([1] * 7))]


@pytest.mark.parametrize("mme", [wire.CmSetKeyCnf(result=1), VsPlLnkStatusCnf(link=1)])
def test_remote_modems_do_not_count(mme: Mme) -> None:
    modem = ready()
    modem.receive_signal(KEY, 1.0)
    modem.receive_signal(WatchLink(True), 1.0)
    assert answer(modem, mme, 1.1, src=OTHER) == []


def test_link_is_reported_on_change_only() -> None:
    modem = ready()
    assert sent(modem.receive_signal(WatchLink(True), 1.0)) == [VsPlLnkStatusReq()]
    assert answer(modem, VsPlLnkStatusCnf(link=0), 1.01) == []
    assert modem.next_timer() == pytest.approx(1.2)
    assert sent(modem.handle_timer(1.2)) == [VsPlLnkStatusReq()]
    assert answer(modem, VsPlLnkStatusCnf(link=1), 1.21) == [LinkChanged(True)]
    assert answer(modem, VsPlLnkStatusCnf(link=1), 1.41) == []
    assert answer(modem, VsPlLnkStatusCnf(link=0), 1.61) == [LinkChanged(False)]
    assert modem.receive_signal(WatchLink(False), 2.0) == []
    assert modem.next_timer() is None
    assert answer(modem, VsPlLnkStatusCnf(link=1), 2.1) == []


def test_a_modem_that_falls_silent_has_no_link() -> None:
    modem = ready()
    modem.receive_signal(WatchLink(True), 1.0)
    answer(modem, VsPlLnkStatusCnf(link=1), 1.0)
    assert facts(modem.handle_timer(1.0 + LINK_SILENT_S - 0.1)) == []
    polled_at = modem.next_timer()
    assert polled_at is not None
    assert facts(modem.handle_timer(max(polled_at, 1.0 + LINK_SILENT_S))) == [LinkChanged(False)]


def test_watching_again_reports_a_link_that_stayed_up() -> None:
    modem = ready()
    modem.receive_signal(WatchLink(True), 1.0)
    answer(modem, VsPlLnkStatusCnf(link=1), 1.0)
    modem.receive_signal(WatchLink(True), 5.0)
    assert answer(modem, VsPlLnkStatusCnf(link=1), 5.0) == [LinkChanged(True)]


@pytest.mark.parametrize("frame", [b"", bytes(60), MAC + MODEM + b"\x88\xe1\x01\x09\x60\0\0\1"])
def test_bad_frames_are_ignored(frame: bytes) -> None:
    assert ready().receive_frame(frame, 1.0) == []
