"""The kernel's PWM beyond the contract: order of writes, what others left, errors, real files."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from controller.cp.driver_kernel_pwm import HOLD_S, KernelPwmPilot, SysFiles, find_channel
from controller.errors import ConfigError, PortError
from tests.cp.fake_sysfs import ROOT, Channel, FakeSysfs

if TYPE_CHECKING:
    from pathlib import Path

PERIOD_S = 0.005


def run(pilot: KernelPwmPilot, files: FakeSysfs, periods: int = 20) -> None:
    for _ in range(periods):
        files.now += PERIOD_S
        pilot.step(files.now)


def ready(files: FakeSysfs, gpio: int = 18) -> KernelPwmPilot:
    pilot = KernelPwmPilot(gpio, files=files)
    run(pilot, files)
    assert pilot.problem() == ""
    return pilot


def writes(files: FakeSysfs) -> list[tuple[str, str]]:
    return [(name, text) for _, name, text in files.log]


def test_the_period_comes_first_and_enable_last() -> None:
    files = FakeSysfs()
    ready(files)
    assert writes(files) == [
        ("export", "0"),
        ("period", "1000000"),
        ("duty_cycle", "1000000"),
        ("enable", "1"),
    ]


def test_a_new_duty_cycle_is_one_write_and_never_the_period() -> None:
    files = FakeSysfs()
    pilot = ready(files)
    files.log.clear()
    for duty in (0.05, 0.5, 0.0, 1.0):
        pilot.set_duty(duty)
        run(pilot, files, 100)
    assert writes(files) == [
        ("duty_cycle", "50000"),
        ("duty_cycle", "500000"),
        ("duty_cycle", "0"),
        ("duty_cycle", "1000000"),
    ]


def test_a_running_predecessor_is_taken_over_without_a_glitch() -> None:
    files = FakeSysfs()
    files.channels[0] = Channel(1_000_000, 50_000, 1, exported=True)
    ready(files)
    assert writes(files) == [("duty_cycle", "1000000")]


@pytest.mark.parametrize(
    ("left", "high"),
    [
        (Channel(20_000_000, 1_500_000, 1, exported=True), ("duty_cycle", "20000000")),
        (Channel(500_000, 100_000, 1, exported=True), ("duty_cycle", "500000")),
        (Channel(1_000_000, 50_000, 1, "inversed", exported=True), ("duty_cycle", "0")),
    ],
)
def test_what_another_program_left_is_held_high_for_2_ms_and_then_stopped(
    left: Channel, high: tuple[str, str]
) -> None:
    files = FakeSysfs(channels=[left, Channel()])
    ready(files)
    assert files.pin(0) == (0.0, 1.0)
    assert writes(files)[:2] == [high, ("enable", "0")]
    assert files.log[1][0] - files.log[0][0] >= HOLD_S
    assert writes(files)[-1] == ("enable", "1")


@pytest.mark.parametrize(
    "left",
    [
        Channel(20_000_000, 19_000_000, 0, exported=True),
        Channel(500_000, 500_000, 0, "inversed", exported=True),
        Channel(0, 0, 0, exported=True),
    ],
)
def test_what_is_off_is_set_up_at_once_whatever_is_in_it(left: Channel) -> None:
    files = FakeSysfs(channels=[left, Channel()])
    ready(files)
    assert files.pin(0) == (0.0, 1.0)
    assert ("enable", "0") not in writes(files)


@pytest.mark.parametrize(
    ("device", "count", "gpio", "channel"),
    [
        ("fe20c000.pwm", 2, 18, 0),
        ("fe20c000.pwm", 2, 12, 0),
        ("3f20c000.pwm", 2, 13, 1),
        ("3f20c000.pwm", 2, 19, 1),
        ("1f00098000.pwm", 4, 12, 0),
        ("1f00098000.pwm", 4, 13, 1),
        ("1f00098000.pwm", 4, 18, 2),
        ("1f00098000.pwm", 4, 19, 3),
    ],
)
@pytest.mark.parametrize("chip", ["pwmchip0", "pwmchip2"])
def test_the_channel_of_each_gpio_on_each_pi(
    chip: str, device: str, count: int, gpio: int, channel: int
) -> None:
    files = FakeSysfs(device, chip, [Channel() for _ in range(count)])
    assert find_channel(gpio, ROOT, files) == (ROOT / chip, channel)
    ready(files, gpio)
    assert files.pin(channel) == (0.0, 1.0)


def test_the_fan_of_a_pi_5_is_not_taken_for_the_pilot() -> None:
    files = FakeSysfs("1f0009c000.pwm", channels=[Channel() for _ in range(4)])
    with pytest.raises(PortError, match=r"found pwmchip0: 1f0009c000.pwm.*dtoverlay=pwm"):
        KernelPwmPilot(18, files=files)


@pytest.mark.parametrize(("gpio", "function"), [(12, 4), (13, 4), (18, 2), (19, 2)])
def test_a_missing_overlay_is_one_line_with_what_to_write_where(gpio: int, function: int) -> None:
    files = FakeSysfs(gone=True)
    with pytest.raises(PortError) as caught:
        KernelPwmPilot(gpio, files=files)
    text = str(caught.value)
    assert f"dtoverlay=pwm,pin={gpio},func={function}" in text
    assert "config.txt" in text
    assert "\n" not in text


def test_a_gpio_without_pwm_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"GPIO 17.*12, 13, 18, 19 only"):
        KernelPwmPilot(17, files=FakeSysfs())


def test_no_permission_is_told_and_tried_again() -> None:
    files = FakeSysfs(forbidden=True)
    pilot = KernelPwmPilot(18, files=files)
    run(pilot, files, 100)
    assert "no permission" in pilot.problem()
    assert "group gpio" in pilot.problem()
    files.forbidden = False
    run(pilot, files, 40)
    assert pilot.problem() == ""


def test_a_channel_of_another_kernel_driver_is_told() -> None:
    files = FakeSysfs()
    files.channels[0].used_by_kernel = True
    pilot = KernelPwmPilot(18, files=files)
    run(pilot, files)
    assert "in use by another driver" in pilot.problem()


def test_a_chip_with_too_few_channels_is_told() -> None:
    files = FakeSysfs("1f00098000.pwm", channels=[Channel(), Channel()])
    pilot = KernelPwmPilot(18, files=files)
    run(pilot, files)
    assert "no channel 2" in pilot.problem()


def test_the_part_is_not_asked_more_often_than_needed() -> None:
    files = FakeSysfs()
    pilot = ready(files)
    reads: list[str] = []
    read = files.read
    files.read = lambda path: reads.append(path.name) or read(path)  # type: ignore[method-assign, func-returns-value]
    run(pilot, files, 200)  # one second
    assert 12 <= len(reads) <= 20


def test_a_real_tree_of_files(tmp_path: Path) -> None:
    """Plain files keep what is written: no rules, but real paths, links and permissions."""
    device = tmp_path / "devices" / "fe20c000.pwm"
    chip = device / "pwm" / "pwmchip0"
    channel = chip / "pwm0"
    channel.mkdir(parents=True)
    (chip / "npwm").write_text("2\n")
    (chip / "device").symlink_to(device)
    for name, text in (("period", "0"), ("duty_cycle", "0"), ("enable", "0")):
        (channel / name).write_text(f"{text}\n")
    (channel / "polarity").write_text("normal\n")
    root = tmp_path / "class"
    root.mkdir()
    (root / "pwmchip0").symlink_to(chip)
    pilot = KernelPwmPilot(18, root=root)
    for turn in range(3):
        pilot.step(turn * PERIOD_S)
    assert pilot.problem() == ""
    assert (channel / "period").read_text() == "1000000"
    pilot.set_duty(0.05)
    assert (channel / "duty_cycle").read_text().startswith("50000")
    if os.geteuid() != 0:
        (channel / "duty_cycle").chmod(0o444)
        pilot.set_duty(0.25)
        assert "no permission" in pilot.problem()
    shutil.rmtree(channel)
    pilot.set_duty(1.0)
    assert "is gone" in pilot.problem()


def test_real_files_are_not_made_when_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SysFiles().write(tmp_path / "duty_cycle", "1")
    assert list(tmp_path.iterdir()) == []
