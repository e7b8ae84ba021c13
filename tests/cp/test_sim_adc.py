"""The simulated converters against their data sheets: registers, times, ranges."""

from __future__ import annotations

import random

import pytest

from controller.cp.sim_adc import SimAds1115, SimMcp3208

SINGLE_0 = bytes((1, 0b1_100_001_1, 0b111_00011))
"""Start a single conversion: input 0 to ground, +-4.096 V, 860 per second, no comparator."""
CONTINUOUS_1 = bytes((1, 0b0_101_001_0, 0b111_00011))
LSB_V = 4.096 / 32768
CONVERSION_S = 1 / 860 + 25e-6


def register(adc: SimAds1115, number: int, now: float) -> int:
    adc.write(bytes((number,)), now)
    return int.from_bytes(adc.read(2, now), "big")


def volts(adc: SimAds1115, now: float, full_scale_v: float = 4.096) -> float:
    word = register(adc, 0, now)
    return (word - 0x10000 if word & 0x8000 else word) * full_scale_v / 32768


def ads(*inputs: float) -> SimAds1115:
    return SimAds1115(lambda number, _: inputs[number])


def test_it_wakes_up_as_the_data_sheet_says() -> None:
    adc = ads(1.0, 1.0)
    assert register(adc, 1, 0.0) == 0x8583
    assert register(adc, 0, 0.0) == 0
    assert (register(adc, 2, 0.0), register(adc, 3, 0.0)) == (0x8000, 0x7FFF)
    assert adc.read(3, 0.0) == b"\x7f\xff\xff"


def test_a_single_conversion_is_busy_for_its_time_and_then_stays() -> None:
    level = [1.5]
    adc = SimAds1115(lambda number, _: level[0] if number == 0 else 0.0)
    adc.write(SINGLE_0, 10.0)
    assert register(adc, 1, 10.0 + CONVERSION_S - 1e-6) == 0x43E3 & ~0x8000
    assert volts(adc, 10.0 + CONVERSION_S - 1e-6) == 0.0
    assert register(adc, 1, 10.0 + CONVERSION_S + 1e-6) == 0xC3E3
    assert volts(adc, 10.01) == pytest.approx(1.5, abs=LSB_V)
    level[0] = 2.0
    assert volts(adc, 11.0) == pytest.approx(1.5, abs=LSB_V)  # sleeps until it is started again


def test_a_start_while_busy_is_not_heard() -> None:
    adc = ads(1.0, 2.0)
    adc.write(SINGLE_0, 0.0)
    adc.write(bytes((1, SINGLE_0[1] | 0x10, SINGLE_0[2])), 0.0005)  # input 1, too early
    assert volts(adc, CONVERSION_S) == pytest.approx(1.0, abs=LSB_V)
    assert volts(adc, 1.0) == pytest.approx(1.0, abs=LSB_V)


def test_the_conversion_asks_the_circuit_at_its_end() -> None:
    asked: list[tuple[int, float]] = []

    def voltage(number: int, at: float) -> float:
        asked.append((number, at))
        return 0.0

    adc = SimAds1115(voltage)
    adc.write(SINGLE_0, 3.0)
    adc.read(2, 3.5)
    [(number, at)] = asked
    assert number == 0
    assert at == pytest.approx(3.0 + CONVERSION_S)


def test_continuous_mode_follows_the_input_and_changes_it_after_the_running_conversion() -> None:
    adc = SimAds1115(lambda number, at: number + (0.5 if at > 1.0 else 0.0))
    adc.write(CONTINUOUS_1, 0.0)
    assert volts(adc, CONVERSION_S) == pytest.approx(1.0, abs=LSB_V)
    assert volts(adc, 2.0) == pytest.approx(1.5, abs=LSB_V)
    adc.write(bytes((1, CONTINUOUS_1[1] + 0x10, CONTINUOUS_1[2])), 2.0)
    assert volts(adc, 2.0005) == pytest.approx(1.5, abs=LSB_V)
    assert volts(adc, 2.01) == pytest.approx(2.5, abs=LSB_V)
    assert not register(adc, 1, 2.01) & 0x8000
    assert volts(adc, 1e6) == pytest.approx(2.5, abs=LSB_V)  # does not work through the years


def test_every_rate_takes_its_time() -> None:
    for index, rate in enumerate((8, 16, 32, 64, 128, 250, 475, 860)):
        adc = ads(1.0)
        adc.write(bytes((1, SINGLE_0[1], index << 5 | 3)), 0.0)
        assert not register(adc, 1, 1 / rate) & 0x8000
        assert register(adc, 1, 1 / rate + 26e-6) & 0x8000
    slow = ads(1.0)
    slow.slow = 1.1
    slow.write(SINGLE_0, 0.0)
    assert not register(slow, 1, 1.09 / 860) & 0x8000


@pytest.mark.parametrize(
    ("pga", "full_scale_v"),
    [(0, 6.144), (1, 4.096), (2, 2.048), (3, 1.024), (4, 0.512), (5, 0.256)],
)
def test_a_range_clips(pga: int, full_scale_v: float) -> None:
    for volts_in, expected in ((full_scale_v * 2, min(full_scale_v, 3.6)), (0.1, 0.1)):
        adc = ads(volts_in)
        adc.write(bytes((1, 0b1_100_000_1 | pga << 1, 0b111_00011)), 0.0)
        found = volts(adc, 0.1, full_scale_v)
        assert found == pytest.approx(expected, abs=full_scale_v / 32767)


def test_inputs_are_clamped_by_the_supply_and_differences_have_a_sign() -> None:
    adc = ads(-5.0, 2.0, 0.0, 9.0)
    adc.write(SINGLE_0, 0.0)
    assert volts(adc, 1.0) == pytest.approx(-0.3, abs=LSB_V)
    adc.write(bytes((1, 0b1_010_001_1, SINGLE_0[2])), 1.0)  # input 1 against 3
    assert volts(adc, 2.0) == pytest.approx(2.0 - 3.6, abs=LSB_V)


def test_noise_comes_from_the_generator_alone() -> None:
    quiet = {round(volts_of(None), 6) for _ in range(3)}
    assert len(quiet) == 1
    rng = random.Random(1)
    adc = SimAds1115(lambda *_: 1.0, rng=rng.randbytes, noise_v=0.01)
    seen = []
    for turn in range(50):
        adc.write(SINGLE_0, turn * 0.01)
        seen.append(volts(adc, turn * 0.01 + 0.005))
    assert len(set(seen)) > 10
    assert max(abs(v - 1.0) for v in seen) <= 0.0102


def volts_of(rng: None) -> float:
    adc = SimAds1115(lambda *_: 1.0, rng=rng)
    adc.write(SINGLE_0, 0.0)
    return volts(adc, 1.0)


def test_alert_as_conversion_ready() -> None:
    adc = ads(1.0)
    assert adc.alert(0.0)  # comparator off: pulled up
    adc.write(b"\x03\x80\x00", 0.0)
    adc.write(b"\x02\x00\x00", 0.0)
    adc.write(bytes((1, SINGLE_0[1], 0b111_00000)), 0.0)
    assert adc.alert(0.001)
    assert not adc.alert(CONVERSION_S)
    adc.write(bytes((1, SINGLE_0[1], 0b111_01000)), 1.0)  # active high
    assert not adc.alert(1.0005)
    assert adc.alert(1.1)


def test_alert_as_comparator() -> None:
    level = [1.0]
    adc = SimAds1115(lambda *_: level[0])
    threshold = int(2.0 / LSB_V).to_bytes(2, "big")
    adc.write(b"\x03" + threshold, 0.0)
    adc.write(b"\x02" + int(1.5 / LSB_V).to_bytes(2, "big"), 0.0)
    adc.write(bytes((1, CONTINUOUS_1[1], 0b111_00001)), 0.0)  # two in a row
    assert adc.alert(0.1)
    level[0] = 2.1
    assert not adc.alert(0.2)
    level[0] = 1.7
    assert not adc.alert(0.3)  # hysteresis
    level[0] = 1.4
    assert adc.alert(0.4)


# --- MCP3208 -------------------------------------------------------------------------------------


def ask(channel: int, *, single: bool = True) -> bytes:
    return bytes((0b100 | single << 1 | channel >> 2, (channel & 3) << 6, 0))


def code(answer: bytes) -> int:
    return (answer[1] & 0x0F) << 8 | answer[2]


def test_mcp3208_answers_each_input_within_the_transfer() -> None:
    adc = SimMcp3208(lambda number, _: 0.4 * number)
    for channel in range(8):
        answer = adc.transfer(ask(channel), 0.0)
        assert code(answer) == int(0.4 * channel / 3.3 * 4096)
        assert answer[1] & 0x10 == 0  # the null bit
        assert answer[0] == 0xFF  # nobody drives the line yet


def test_mcp3208_clips_subtracts_and_says_nothing_without_start_bit() -> None:
    adc = SimMcp3208(lambda number, _: (5.0, 1.0, -1.0)[number])
    assert code(adc.transfer(ask(0), 0.0)) == 4095
    assert code(adc.transfer(ask(2), 0.0)) == 0
    assert code(adc.transfer(ask(0, single=False), 0.0)) == int(2.9 / 3.3 * 4096)
    assert code(adc.transfer(ask(1, single=False), 0.0)) == 0
    assert adc.transfer(bytes(3), 0.0) == b"\xff\xff\xff"
    assert adc.transfer(b"", 0.0) == b""
    assert adc.transfer(b"\x01", 0.0) == b"\xff"


def test_mcp3208_may_be_asked_with_other_leading_zeros_and_repeats_backwards() -> None:
    adc = SimMcp3208(lambda *_: 1.7)
    expected = int(1.7 / 3.3 * 4096)
    bits = "".join(f"{byte:08b}" for byte in adc.transfer(bytes((0b11000000, 0, 0, 0)), 0.0))
    assert int(bits[7:19], 2) == expected
    assert bits[18:30] == bits[7:19][::-1]
    assert set(bits[30:]) <= {"0"}


def test_faults_of_gain_and_offset() -> None:
    adc = SimMcp3208(lambda *_: 1.0)
    adc.gain, adc.offset_v = 1.1, 0.1
    assert code(adc.transfer(ask(0), 0.0)) == int(1.2 / 3.3 * 4096)
    other = ads(1.0)
    other.gain, other.offset_v = 1.1, 0.1
    other.write(SINGLE_0, 0.0)
    assert volts(other, 1.0) == pytest.approx(1.2, abs=LSB_V)
