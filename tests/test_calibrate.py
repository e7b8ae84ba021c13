"""`ccs-pilot calibrate` against a daemon with a circuit: guided, by a program, interrupted."""

from __future__ import annotations

import os
import random
import socket
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from controller import calibrate as under_test
from controller import main as cli
from controller.calibrate import OK, REFUSED, Switched, Talk, calibrate, write_at_once
from controller.cp import calibration
from controller.cp.calibration import LOADS
from controller.cp.sim import Diode
from controller.errors import PortError
from tests.charger_rig import PILOT_GPIO, ChargerRig, charger_rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = [load.name for load in LOADS]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChargerRig]:
    with charger_rig(monkeypatch) as made:
        yield made


def connect(rig: ChargerRig, name: str, *, diode: bool = False) -> None:
    """Hang a load between CP and PE."""
    load = next((each for each in LOADS if each.name == name), LOADS[0])
    circuit = rig.circuit
    circuit.diode = Diode.GOOD if diode else Diode.SHORTED
    circuit.plugged = load.ohm < float("inf")
    circuit.r2_ohm = max(load.ohm, 1e-3)
    circuit.short_ohm = 1e-3 if load.ohm == 0.0 else None


class Person:
    """Does what is asked, and answers; `wrong` connects something else in a step, once."""

    def __init__(
        self,
        rig: ChargerRig,
        *,
        answers: dict[str, list[str]] | None = None,
        wrong: dict[str, str] | None = None,
        diode: bool = False,
    ) -> None:
        self.rig = rig
        self.answers = answers or {}
        self.wrong = wrong or {}
        self.diode = diode
        self.asked: list[str] = []
        self.step = ""

    def talk(self) -> Talk:
        talk = Talk(self)
        say = talk.say

        def listen(line: str) -> None:
            name = line.strip().partition(":")[0]
            if name in [*NAMES, "pulses"] and " between CP and PE" in line:
                self.step = name
                connect(self.rig, self.wrong.pop(name, name), diode=self.diode)
            say(line)

        talk.say = listen  # type: ignore[method-assign]
        return talk

    def __call__(self, prompt: str) -> str:
        self.asked.append(f"{self.step}{prompt}")
        waiting = self.answers.get(self.step)
        return waiting.pop(0) if waiting else ""


def run(rig: ChargerRig, path: Path, person: Person, *, diode: bool = False) -> int:
    return calibrate(rig.config(), path, person.talk(), rig.time, diode=diode)


@pytest.mark.parametrize("diode", [False, True])
def test_loads_with_another_diode_than_told_are_refused_with_a_hint(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str], diode: bool
) -> None:
    person = Person(rig, diode=diode)
    assert run(rig, tmp_path / "cal.toml", person, diode=not diode) == REFUSED
    assert "--diode?" in capsys.readouterr().err
    assert not (tmp_path / "cal.toml").exists()


@pytest.mark.parametrize("diode", [False, True])
def test_guided_it_finds_the_front_end_and_the_charger_reads_right_with_it(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str], diode: bool
) -> None:
    rig.front_end = (0.95, 0.4)
    path = tmp_path / "cal.toml"
    person = Person(rig, diode=diode)
    assert run(rig, path, person, diode=diode) == OK
    found = calibration.load(path, "ads1115")
    assert found.high.gain == pytest.approx(1 / 0.95, abs=0.003)
    assert found.low.offset_v == pytest.approx(-0.4 / 0.95, abs=0.02)
    assert found.residual_v < 0.05
    assert [point.load for point in found.points] == NAMES
    assert [line.partition(" ")[0].strip() for line in person.asked] == NAMES
    out = capsys.readouterr().out
    assert "d: 2.74 kOhm and 270 Ohm in parallel between CP and PE" in out
    assert f'[hardware] calibration = "{path}"' in out
    assert rig.duty == 1.0
    connect(rig, "open")
    hardware = rig.open(rig.config(calibration=str(path)))
    assert rig.run(hardware, 5).pilot.high_v == pytest.approx(12.0, abs=0.05)
    hardware.close()


def test_what_the_meter_shows_counts(rig: ChargerRig, tmp_path: Path) -> None:
    """A generator of 12.4 V: without a meter its error would end up in the correction."""
    rig.circuit.supply_v, rig.circuit.negative_supply_v = 12.4, -12.2
    shown = {}
    for load in LOADS:
        source = 12.4 if load.duty else -12.2
        volts = source if load.ohm == float("inf") else source * load.ohm / (load.ohm + 1000.0)
        shown[load.name] = [f" {volts:.3f} V ".replace(".", ",")]
    path = tmp_path / "cal.toml"
    assert run(rig, path, Person(rig, answers=shown)) == OK
    found = calibration.load(path, "ads1115")
    assert found.high.gain == pytest.approx(1.0, abs=0.002)
    assert found.high.offset_v == pytest.approx(0.0, abs=0.01)
    assert found.points[0].actual_v == pytest.approx(12.4)


def test_an_answer_that_cannot_be_is_asked_again(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"b": ["hello", "nan", "3.1", "8.8"]}
    person = Person(rig, answers=answers)
    assert run(rig, tmp_path / "cal.toml", person) == OK
    assert len([line for line in person.asked if line.startswith("b ")]) == 4
    assert "'3.1': not plausible here; a voltage near 8.79 V" in capsys.readouterr().out


def test_the_wrong_resistor_is_refused_and_may_be_changed(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cal.toml"
    person = Person(rig, wrong={"c": "b"})
    assert run(rig, path, person) == OK
    out = capsys.readouterr().out
    assert "c: expected about +5.62 V with 2.74 kOhm and 1.3 kOhm in parallel" in out
    assert "cp_high shows +8.79 V" in out
    assert calibration.load(path, "ads1115").residual_v < 0.05


def test_who_stops_there_gets_no_file(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cal.toml"
    person = Person(rig, answers={"c": ["", "n"]}, wrong={"c": "b"})
    assert run(rig, path, person) == REFUSED
    assert list(tmp_path.iterdir()) == []
    assert "no file was written" in capsys.readouterr().err
    assert rig.duty == 1.0


def test_a_noisy_measurement_is_repeated_and_then_refused(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise, rng = [0.0], random.Random(1)
    voltage = rig.ads._voltage
    rig.ads._voltage = lambda number, at: voltage(number, at) + rng.uniform(-1, 1) * noise[0]
    person = Person(rig, answers={"b": ["", "n"]})

    talk = person.talk()
    say = talk.say

    def listen(line: str) -> None:
        if line.strip().startswith("b:"):
            noise[0] = 0.05  # half a volt on CP
        say(line)

    talk.say = listen  # type: ignore[method-assign]
    assert calibrate(rig.config(), tmp_path / "cal.toml", talk, rig.time) == REFUSED
    out, err = capsys.readouterr()
    assert out.count("noisy") == under_test.TRIES
    assert "b: the readings differ by" in err
    assert not (tmp_path / "cal.toml").exists()


def test_detectors_that_do_not_hold_a_pulse_are_refused(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voltage = rig.ads._voltage

    def drooping(number: int, at: float) -> float:
        return voltage(number, at) - (0.3 if number == 0 and rig.duty == 0.05 else 0.0)

    rig.ads._voltage = drooping
    assert run(rig, tmp_path / "cal.toml", Person(rig)) == REFUSED
    assert "the peak detectors do not hold them" in capsys.readouterr().err


def test_a_front_end_too_far_off_is_refused(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.front_end = (0.89, 0.0)
    assert run(rig, tmp_path / "cal.toml", Person(rig)) == REFUSED
    assert "gain 1.124 is not plausible" in capsys.readouterr().err


@pytest.mark.parametrize("at", [*NAMES])
def test_ctrl_c_leaves_the_pilot_high_and_no_file(rig: ChargerRig, tmp_path: Path, at: str) -> None:
    person = Person(rig)

    def interrupted(prompt: str) -> str:
        if person.step == at:
            raise KeyboardInterrupt
        return ""

    talk = person.talk()
    talk._ask = interrupted
    with pytest.raises(KeyboardInterrupt):
        calibrate(rig.config(), tmp_path / "cal.toml", talk, rig.time)
    assert rig.duty == 1.0
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_measuring(rig: ChargerRig, tmp_path: Path) -> None:
    pause, count = rig.time.pause, [0]

    def interrupted(seconds: float) -> None:
        count[0] += 1
        if count[0] > 900:
            raise KeyboardInterrupt
        pause(seconds)

    rig.time.pause = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(rig, tmp_path / "cal.toml", Person(rig))
    assert rig.duty == 1.0
    assert list(tmp_path.iterdir()) == []


def test_nobody_at_the_keyboard_ends_it(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    assert calibrate(rig.config(), tmp_path / "cal.toml", Talk(nobody), rig.time) == REFUSED
    assert "nobody answers" in capsys.readouterr().err


def test_a_daemon_that_dies_in_between_ends_it(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person(rig)

    def dies(prompt: str) -> str:
        if person.step == "c":
            rig.daemon.stop()
        return "n" if "again" in prompt else ""

    talk = person.talk()
    talk._ask = dies
    assert calibrate(rig.config(), tmp_path / "cal.toml", talk, rig.time) == REFUSED
    assert "pigpio daemon" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_pin_but_the_pilots_is_touched(rig: ChargerRig, tmp_path: Path) -> None:
    """Contactors above all: not even their direction."""
    modes = list(rig.daemon.modes)
    assert run(rig, tmp_path / "cal.toml", Person(rig)) == OK
    assert rig.daemon.writes == []
    modes[PILOT_GPIO] = rig.daemon.modes[PILOT_GPIO]
    assert rig.daemon.modes == modes


# --- by a program --------------------------------------------------------------------------------


class Relays(Switched):
    """A program, without the price of starting one."""

    def __init__(self, rig: ChargerRig, fail: Callable[[str], bool] = lambda _: False) -> None:
        super().__init__("relays")
        self.rig = rig
        self.names: list[str] = []
        self.fail = fail

    def connect(self, step: calibration.Load, expected_v: float) -> float:
        self.names.append(step.name)
        connect(self.rig, step.name if not self.fail(step.name) else "open")
        return expected_v


def test_a_program_connects_the_loads(rig: ChargerRig, tmp_path: Path) -> None:
    relays = Relays(rig)
    assert calibrate(rig.config(), tmp_path / "cal.toml", relays, rig.time) == OK
    assert relays.names == [*NAMES, "pulses"]


def test_a_relay_that_does_not_close_ends_it(
    rig: ChargerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relays = Relays(rig, lambda name: name == "d")
    assert calibrate(rig.config(), tmp_path / "cal.toml", relays, rig.time) == REFUSED
    assert "d: expected about +2.37 V" in capsys.readouterr().err
    assert relays.names == NAMES[:4]


def test_a_real_program_is_called_with_the_step(tmp_path: Path) -> None:
    script = tmp_path / "relays.sh"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\ntest "$2" != c\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    talk = Switched(f"{script} --quick")
    assert talk.connect(LOADS[0], 12.0) == 12.0
    with pytest.raises(under_test.RefusedError, match=r"relays\.sh --quick c: .*exit status 1"):
        talk.connect(LOADS[2], 5.62)
    assert (tmp_path / "called").read_text().split("\n")[:2] == ["--quick open", "--quick c"]
    with pytest.raises(under_test.RefusedError, match="No such file"):
        Switched("/no/such/program").connect(LOADS[0], 12.0)


# --- the command line ----------------------------------------------------------------------------


def command(tmp_path: Path, *words: str) -> int:
    charger = tmp_path / "charger.toml"
    if not charger.exists():
        charger.write_text('[hardware]\npigpiod = "127.0.0.1:1"\nadc_bus = "pigpio"\n')
    return cli.main(["calibrate", "--charger", str(charger), *words])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give --out FILE"),
        (["--out", "/no/folder/cal.toml"], "there is no folder /no/folder"),
        (["--out", "OUT", "--yes"], "--yes needs --switch"),
        (["--out", "EXISTS", "--switch", "true"], "exists: add --yes"),
        (["--out", "OUT"], "pigpio daemon at 127.0.0.1:1"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path,
    words: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from controller import hardware_parts

    monkeypatch.setattr(hardware_parts, "START_S", 0.3)
    (tmp_path / "exists").write_text("")
    places = {"OUT": str(tmp_path / "cal.toml"), "EXISTS": str(tmp_path / "exists")}
    assert command(tmp_path, *[places.get(word, word) for word in words]) == cli.USAGE_ERROR
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1
    assert not (tmp_path / "cal.toml").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told_before_anything_is_driven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o555)
    assert command(tmp_path, "--out", str(folder / "cal.toml")) == cli.USAGE_ERROR
    assert "no permission" in capsys.readouterr().err


def test_a_running_charger_is_not_disturbed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rt.sock"
    (tmp_path / "charger.toml").write_text(f'[realtime]\nsocket = "{path}"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(1)
        assert command(tmp_path, "--out", str(tmp_path / "cal.toml")) == cli.USAGE_ERROR
    assert "the charger is running" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cal.toml"
    write_at_once(path, "one")
    write_at_once(path, "two")
    assert path.read_text() == "two"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PortError, match="No space left"):
        write_at_once(path, "three")
    assert path.read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["cal.toml"]


def test_a_talk_reads_from_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "12,1 V"

    monkeypatch.setattr("builtins.input", answer)
    assert Talk().connect(LOADS[0], 12.0) == 12.1
    assert asked == ["  what the meter shows (Enter: 12.00 V): "]
