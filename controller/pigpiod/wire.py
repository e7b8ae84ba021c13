"""The daemon's wire: requests, replies, reports, every command and every error (pure data).

A request is four little-endian words: command, two parameters, the length of what follows (the
extension). A reply repeats command and parameters; its last word is the result, signed, negative
for an error. Some replies are followed by that many bytes. A socket that asked for notifications
also carries reports of twelve bytes, whenever there is something to tell.

Source: the public pigpio client (1.78) and its manual; what the daemon (79) does beyond that, from
its public source. Nothing here has been compared with a running daemon.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

PORT = 8888
REQUEST = struct.Struct("<4I")
REPLY = struct.Struct("<3Ii")
REPORT = struct.Struct("<HHII")
"""Sequence number (counts per handle), flags, tick, levels of GPIO 0 to 31."""
PULSE = struct.Struct("<3I")
"""Of a waveform: GPIO to switch on, GPIO to switch off, microseconds until the next pulse."""
SCRIPT_STATUS = struct.Struct("<11i")
"""Run state and the ten parameters."""
EXTENSION_END = 65536
"""An extension of this length or more ends the connection."""

FLAG_WATCHDOG = 1 << 5
FLAG_ALIVE = 1 << 6
FLAG_EVENT = 1 << 7
"""Bits of a report's flags; watchdog and event have their number in the lowest five."""

GPIOS = 54
USER_GPIOS = 32
"""GPIO 0 to 31: bank 1, the ones that are reported."""
HANDLES = 32
"""Notification handles; also SPI handles and scripts."""
I2C_HANDLES = 512


class Status(IntEnum):
    """Results below zero; the names are the client's, without PI_."""

    BAD_USER_GPIO = -2
    BAD_GPIO = -3
    BAD_MODE = -4
    BAD_LEVEL = -5
    BAD_PUD = -6
    BAD_PULSEWIDTH = -7
    BAD_DUTYCYCLE = -8
    BAD_WDOG_TIMEOUT = -15
    BAD_DUTYRANGE = -21
    BAD_PATHNAME = -23
    NO_HANDLE = -24
    BAD_HANDLE = -25
    BAD_WAVE_MODE = -33
    BAD_WAVE_BAUD = -35
    TOO_MANY_PULSES = -36
    TOO_MANY_CHARS = -37
    NOT_SERIAL_GPIO = -38
    NOT_PERMITTED = -41
    SOME_PERMITTED = -42
    BAD_WVSC_COMMND = -43
    BAD_WVSM_COMMND = -44
    BAD_WVSP_COMMND = -45
    BAD_PULSELEN = -46
    BAD_SCRIPT = -47
    BAD_SCRIPT_ID = -48
    BAD_SER_OFFSET = -49
    GPIO_IN_USE = -50
    BAD_PARAM_NUM = -52
    DUP_TAG = -53
    BAD_SCRIPT_CMD = -55
    BAD_VAR_NUM = -56
    NO_SCRIPT_ROOM = -57
    TOO_MANY_PARAM = -61
    BAD_TAG = -63
    BAD_MICS_DELAY = -64
    BAD_MILS_DELAY = -65
    BAD_WAVE_ID = -66
    TOO_MANY_CBS = -67
    EMPTY_WAVEFORM = -69
    NO_WAVEFORM_ID = -70
    SER_OPEN_FAILED = -72
    BAD_I2C_BUS = -74
    BAD_I2C_ADDR = -75
    BAD_SPI_CHANNEL = -76
    BAD_FLAGS = -77
    BAD_SPI_SPEED = -78
    BAD_SER_DEVICE = -79
    BAD_PARAM = -81
    I2C_WRITE_FAILED = -82
    I2C_READ_FAILED = -83
    BAD_SPI_COUNT = -84
    UNKNOWN_COMMAND = -88
    BAD_POINTER = -90
    NOT_PWM_GPIO = -92
    NOT_SERVO_GPIO = -93
    NOT_HCLK_GPIO = -94
    NOT_HPWM_GPIO = -95
    BAD_HPWM_FREQ = -96
    BAD_HPWM_DUTY = -97
    BAD_HCLK_FREQ = -98
    BAD_HCLK_PASS = -99
    BAD_DATABITS = -101
    BAD_STOPBITS = -102
    BAD_I2C_SEG = -106
    NOT_I2C_GPIO = -108
    BAD_I2C_WLEN = -109
    BAD_I2C_RLEN = -110
    BAD_I2C_CMD = -111
    BAD_I2C_BAUD = -112
    BAD_CHAIN_LOOP = -114
    CHAIN_COUNTER = -115
    BAD_CHAIN_CMD = -116
    CHAIN_NESTING = -118
    CHAIN_TOO_BIG = -119
    DEPRECATED = -120
    BAD_FOREVER = -124
    BAD_FILTER = -125
    BAD_PAD = -126
    BAD_STRENGTH = -127
    NO_FILE_ACCESS = -137
    BAD_SPI_BAUD = -141
    NOT_SPI_GPIO = -142
    BAD_EVENT_ID = -143


class Entry(NamedTuple):
    """One command: what its parameters and its extension are."""

    number: int
    name: str
    parameters: tuple[str, ...]
    """Of the two words, those that mean something."""
    extension: tuple[str, ...]
    """Words that follow, by name; `bytes` at the end: as many bytes as there are."""
    replies_bytes: bool
    """A positive result is followed by as many bytes."""


def _row(
    number: int, name: str, parameters: str = "", extension: str = "", reply: str = ""
) -> Entry:
    return Entry(number, name, tuple(parameters.split()), tuple(extension.split()), bool(reply))


# fmt: off
COMMANDS: dict[int, Entry] = {entry.number: entry for entry in (
    #    number name     parameters         extension                  reply
    _row(0,   "MODES", "gpio mode"),
    _row(1,   "MODEG", "gpio"),
    _row(2,   "PUD",   "gpio pull"),
    _row(3,   "READ",  "gpio"),
    _row(4,   "WRITE", "gpio level"),
    _row(5,   "PWM",   "gpio duty"),
    _row(6,   "PRS",   "gpio range"),
    _row(7,   "PFS",   "gpio hertz"),
    _row(8,   "SERVO", "gpio width_us"),
    _row(9,   "WDOG",  "gpio timeout_ms"),
    _row(10,  "BR1"),
    _row(11,  "BR2"),
    _row(12,  "BC1",   "bits"),
    _row(13,  "BC2",   "bits"),
    _row(14,  "BS1",   "bits"),
    _row(15,  "BS2",   "bits"),
    _row(16,  "TICK"),
    _row(17,  "HWVER"),
    _row(18,  "NO"),
    _row(19,  "NB",    "handle bits"),
    _row(20,  "NP",    "handle"),
    _row(21,  "NC",    "handle"),
    _row(22,  "PRG",   "gpio"),
    _row(23,  "PFG",   "gpio"),
    _row(24,  "PRRG",  "gpio"),
    _row(25,  "HELP"),
    _row(26,  "PIGPV"),
    _row(27,  "WVCLR"),
    _row(28,  "WVAG",  "",                "bytes"),
    _row(29,  "WVAS",  "gpio baud",       "data_bits stop_half_bits offset_us bytes"),
    _row(30,  "WVGO"),
    _row(31,  "WVGOR"),
    _row(32,  "WVBSY"),
    _row(33,  "WVHLT"),
    _row(34,  "WVSM",  "which"),
    _row(35,  "WVSP",  "which"),
    _row(36,  "WVSC",  "which"),
    _row(37,  "TRIG",  "gpio length_us",  "level"),
    _row(38,  "PROC",  "",                "bytes"),
    _row(39,  "PROCD", "script"),
    _row(40,  "PROCR", "script",          "bytes"),
    _row(41,  "PROCS", "script"),
    _row(42,  "SLRO",  "gpio baud",       "data_bits"),
    _row(43,  "SLR",   "gpio count",      "",                        "bytes"),
    _row(44,  "SLRC",  "gpio"),
    _row(45,  "PROCP", "script",          "",                        "bytes"),
    _row(46,  "MICS",  "micros"),
    _row(47,  "MILS",  "millis"),
    _row(49,  "WVCRE"),
    _row(50,  "WVDEL", "wave"),
    _row(51,  "WVTX",  "wave"),
    _row(52,  "WVTXR", "wave"),
    _row(53,  "WVNEW"),
    _row(54,  "I2CO",  "bus address",     "flags"),
    _row(55,  "I2CC",  "handle"),
    _row(56,  "I2CRD", "handle count",    "",                        "bytes"),
    _row(57,  "I2CWD", "handle",          "bytes"),
    _row(58,  "I2CWQ", "handle bit"),
    _row(59,  "I2CRS", "handle"),
    _row(60,  "I2CWS", "handle byte"),
    _row(61,  "I2CRB", "handle register"),
    _row(62,  "I2CWB", "handle register", "byte"),
    _row(63,  "I2CRW", "handle register"),
    _row(64,  "I2CWW", "handle register", "word"),
    _row(65,  "I2CRK", "handle register", "",                        "bytes"),
    _row(66,  "I2CWK", "handle register", "bytes"),
    _row(67,  "I2CRI", "handle register", "count",                   "bytes"),
    _row(68,  "I2CWI", "handle register", "bytes"),
    _row(69,  "I2CPC", "handle register", "word"),
    _row(70,  "I2CPK", "handle register", "bytes",                   "bytes"),
    _row(71,  "SPIO",  "channel baud",    "flags"),
    _row(72,  "SPIC",  "handle"),
    _row(73,  "SPIR",  "handle count",    "",                        "bytes"),
    _row(74,  "SPIW",  "handle",          "bytes"),
    _row(75,  "SPIX",  "handle",          "bytes",                   "bytes"),
    _row(76,  "SERO",  "baud flags",      "bytes"),
    _row(77,  "SERC",  "handle"),
    _row(78,  "SERRB", "handle"),
    _row(79,  "SERWB", "handle byte"),
    _row(80,  "SERR",  "handle count",    "",                        "bytes"),
    _row(81,  "SERW",  "handle",          "bytes"),
    _row(82,  "SERDA", "handle"),
    _row(83,  "GDC",   "gpio"),
    _row(84,  "GPW",   "gpio"),
    _row(85,  "HC",    "gpio hertz"),
    _row(86,  "HP",    "gpio hertz",      "duty_ppm"),
    _row(87,  "CF1",   "first second",    "bytes"),
    _row(88,  "CF2",   "first count",     "bytes",                   "bytes"),
    _row(89,  "BI2CC", "sda"),
    _row(90,  "BI2CO", "sda scl",         "baud"),
    _row(91,  "BI2CZ", "sda",             "bytes",                   "bytes"),
    _row(92,  "I2CZ",  "handle",          "bytes",                   "bytes"),
    _row(93,  "WVCHA", "",                "bytes"),
    _row(94,  "SLRI",  "gpio invert"),
    _row(95,  "CGI"),
    _row(96,  "CSI",   "value"),
    _row(97,  "FG",    "gpio steady_us"),
    _row(98,  "FN",    "gpio steady_us",  "active_us"),
    _row(99,  "NOIB"),
    _row(100, "WVTXM", "wave mode"),
    _row(101, "WVTAT"),
    _row(102, "PADS",  "pad strength_ma"),
    _row(103, "PADG",  "pad"),
    _row(104, "FO",    "mode",            "bytes"),
    _row(105, "FC",    "handle"),
    _row(106, "FR",    "handle count",    "",                        "bytes"),
    _row(107, "FW",    "handle",          "bytes"),
    _row(108, "FS",    "handle offset",   "origin"),
    _row(109, "FL",    "count",           "bytes",                   "bytes"),
    _row(110, "SHELL", "name_length",     "bytes"),
    _row(111, "BSPIC", "select"),
    _row(112, "BSPIO", "select",          "miso mosi clock baud flags"),
    _row(113, "BSPIX", "select",          "bytes",                   "bytes"),
    _row(114, "BSCX",  "control",         "bytes",                   "bytes"),
    _row(115, "EVM",   "handle bits"),
    _row(116, "EVT",   "event"),
    _row(117, "PROCU", "script",          "bytes"),
    _row(118, "WVCAP", "percent"),
)}
# fmt: on
BY_NAME = {entry.name: entry for entry in COMMANDS.values()}


class Request(NamedTuple):
    """One request, taken apart."""

    command: int
    first: int
    second: int
    words: tuple[int, ...]
    """The named words of the extension."""
    data: bytes
    """What follows them (where the table says `bytes`), else empty."""


def take_apart(command: int, first: int, second: int, extension: bytes) -> Request | None:
    """Give names to an extension; None when it is shorter than its named words."""
    entry = COMMANDS.get(command)
    if entry is None:
        return Request(command, first, second, (), extension)
    has_bytes = entry.extension[-1:] == ("bytes",)
    count = len(entry.extension) - has_bytes
    if len(extension) < 4 * count:
        return None
    words = struct.unpack_from(f"<{count}I", extension) if count else ()
    return Request(command, first, second, words, extension[4 * count :] if has_bytes else b"")


def reply(command: int, first: int, second: int, result: int, data: bytes = b"") -> bytes:
    """Build a reply; a `result` of 2**31 and above (levels, ticks) travels as it is, unsigned."""
    signed = result - (1 << 32) if result > 0x7FFFFFFF else result
    return REPLY.pack(command, first, second, signed) + data
