"""The voltages and duty cycles of the control pilot (core): what the standards and parts fix."""

from __future__ import annotations

# Levels of the high phase at the charger, in volts. The bands are the charger-side ones of
# IEC 61851-1 Table A.4 as chargebyte's open charger firmware applies them: nominal +-1 V, and a
# level in the gap between two bands keeps the previous state (hysteresis).
LEVEL_A_V = (11.0, 13.0)  # 12 V: nothing connected
LEVEL_B_V = (8.0, 10.0)  # 9 V: R2
LEVEL_C_V = (5.0, 7.0)  # 6 V: R2 and R3 (1.3 kOhm)
LEVEL_D_V = (2.0, 4.0)  # 3 V: R2 and R3 (270 Ohm): ventilation wanted
LEVEL_E_V = (-1.0, 2.0)  # 0 V: short circuit to PE, or supply lost
LEVEL_F_V = (-13.0, -11.0)  # -12 V: charger not available

NEGATIVE_PEAK_V = (-13.0, -11.0)
"""The low phase with the vehicle's diode in place (Table A.4: -12 V +-1 V). Without a diode it
mirrors the high phase (-9 V), with a short circuit it is near 0 V: both are outside."""

RANGE_V = (-13.0, 13.0)
"""What a generator of +-12 V can make (+-0.6 V, and the accuracy of the measurement)."""
F_LOST_V = -10.0
"""chargebyte: driven to -12 V, a pilot above this is short-circuited."""
MIRROR_V = 1.2
"""chargebyte: high and low phase whose sum is this small are the same load both ways: no diode."""

# Generator and circuit: CharIN design guide for CCS, pilot slide; IEC 61851-1 Table A.2.
GENERATOR_V = 12.0
SOURCE_OHM = 1000.0
R2_OHM = 2740.0
R3_OHM = 1300.0
R3_VENTILATION_OHM = 270.0
DIODE_DROP_V = 0.7
CABLE_CAPACITANCE_F = 3100e-12
VEHICLE_CAPACITANCE_F = 2400e-12
PWM_PERIOD_S = 0.001

# Duty cycle as the vehicle reads it (IEC 61851-1 Table A.8).
DIGITAL_DUTY = (0.03, 0.07)
"""3 to 7 %: digital communication required."""
OSCILLATING_DUTY = (0.03, 0.97)
"""Below 3 % and above 97 % there is no charging: for the vehicle the oscillator is not there."""
MINIMUM_CURRENT_DUTY = 0.08
"""8 to 10 %: 6 A, the smallest current."""
LINEAR_DUTY = (0.10, 0.85)
"""10 to 85 %: 0.6 A per percent; above it 2.5 A per percent over 64 %."""
MAXIMUM_DUTY = 0.96
"""96 to 97 %: 80 A, the largest current."""
DUTY_CHANGE = 0.005
"""Smaller changes of the measured duty are noise: the standard's pulse tolerance is 25 us, and
the smallest step that means another current (1 A) is 1.7 %."""
FREQUENCY_HZ = (980.0, 1020.0)
"""1000 Hz +-2 % (CharIN design guide for CCS; EVerest's bring-up guide): else it is no pilot."""
FREQUENCY_ERROR_HZ = 0.5
"""What the vehicle's own measurement may be wrong by: 5 us in eleven cycles."""

INLET_PRESENT_V = 1.5
"""Vehicle: a high phase (behind the diode) below this is no pilot; 3 V - 0.7 V is the lowest."""
INLET_HIGHEST_V = 13.0
S2_SPLIT_V = 6.7
"""Vehicle: a high phase above this is state B, below it C or D, behind the diode. At the charger B
is 8.4 V or more and C 6.5 V or less (SAE J1772), the diode takes 0.55 to 0.85 V."""
