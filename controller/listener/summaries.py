"""One readable line per V2G message, from its JSON view.

Physical values appear in SI units, values of the same kind together (`target 400 V 125 A`), the
ResponseCode first; what says nothing (`NO_ERROR`, a flag that is not set) is left out. A field this
page does not know appears under its own name, so nothing unusual is hidden. Text comes from a peer:
control characters never reach the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping

LABELS = {
    "EVTargetVoltage": "target",
    "EVTargetCurrent": "target",
    "EVSEPresentVoltage": "present",
    "EVSEPresentCurrent": "present",
    "EVMaximumVoltageLimit": "EV max",
    "EVMaximumCurrentLimit": "EV max",
    "EVMaximumPowerLimit": "EV max",
    "EVSEMaximumVoltageLimit": "EVSE max",
    "EVSEMaximumCurrentLimit": "EVSE max",
    "EVSEMaximumPowerLimit": "EVSE max",
    "EVSEMinimumVoltageLimit": "EVSE min",
    "EVSEMinimumCurrentLimit": "EVSE min",
    "EVSEPeakCurrentRipple": "ripple",
    "EVSECurrentRegulationTolerance": "tolerance",
    "EVSEEnergyToBeDelivered": "to deliver",
    "EVEnergyCapacity": "capacity",
    "EVEnergyRequest": "wants",
    "RemainingTimeToFullSoC": "full in",
    "RemainingTimeToBulkSoC": "bulk in",
    "EVRESSSOC": "SoC",
    "FullSOC": "full at",
    "BulkSOC": "bulk at",
    "EVSEIsolationStatus": "isolation",
    "EVErrorCode": "error",
    "EVSENotification": "notification",
    "NotificationMaxDelay": "within",
    "PMax": "PMax",
    "SAScheduleTupleID": "schedule",
    "ProtocolNamespace": "",
    "SelectedPaymentOption": "",
    "PaymentOption": "payment",
    "ServiceCategory": "",
    "EVSEProcessing": "",
    "EVSEStatusCode": "",
    "EVRequestedEnergyTransferType": "",
    "EnergyTransferType": "",
    "FaultCode": "fault",
    "FaultMsg": "fault",
}
"""Element name -> word; values under the same word are put together. An empty word: value alone."""

SUFFIXES = {"EVRESSSOC": " %", "FullSOC": " %", "BulkSOC": " %", "NotificationMaxDelay": " s"}

FLAGS = {
    "EVReady": ("ready", "not ready"),
    "ReadyToChargeState": ("start", "stop"),
    "FreeService": ("free", ""),
    "EVCabinConditioning": ("cabin conditioning", ""),
    "EVRESSConditioning": ("battery conditioning", ""),
    "BulkChargingComplete": ("bulk complete", ""),
    "ChargingComplete": ("charging complete", ""),
    "EVSECurrentLimitAchieved": ("current limit reached", ""),
    "EVSEVoltageLimitAchieved": ("voltage limit reached", ""),
    "EVSEPowerLimitAchieved": ("power limit reached", ""),
}
"""Element name -> (word when true, word when false)."""

SILENT = frozenset({"ServiceID", "PMaxScheduleID", "start", "ChargingProfileEntryStart"})
"""Numbers that mean nothing without the whole message: see the JSON."""

IDLE = frozenset(
    {
        ("EVErrorCode", "NO_ERROR"),
        ("EVSENotification", "None"),
        ("NotificationMaxDelay", 0),
    }
)
"""Values that say that there is nothing to say."""

_UNIT_ORDER = {"V": 0, "A": 1, "W": 2}
_UNIT_OF_NAME = {"Voltage": "V", "Current": "A", "Power": "W", "Energy": "Wh", "RemainingTime": "s"}
_UNIT_WORDS = {"m": "min"}
"""The schemas call minutes `m`."""
_TEXT_LIMIT = 80
_LIST_LIMIT = 4


def clean(text: str) -> str:
    """Make a peer's text harmless and short: what cannot be printed becomes an escape."""
    if len(text) <= _TEXT_LIMIT and text.isprintable():
        return text
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text[:_TEXT_LIMIT]
    )
    return shown + ("..." if len(text) > _TEXT_LIMIT else "")


def summarise(body: Mapping[str, object]) -> str:
    """Put the fields of one message into words; empty for a message without any."""
    code = body.get("ResponseCode")
    groups: dict[str, list[tuple[int, str]]] = {}
    _collect({k: v for k, v in body.items() if k != "ResponseCode"}, groups)
    parts = [clean(code)] if isinstance(code, str) else []
    for label, values in groups.items():
        texts = [text for _, text in sorted(values, key=lambda item: item[0])]
        if not label:
            parts.extend(texts)
        else:
            more = len(texts) - _LIST_LIMIT
            shown = " ".join(texts[:_LIST_LIMIT]) + (f" (+{more})" if more > 0 else "")
            parts.append(f"{label} {shown}")
    return ", ".join(parts)


def _collect(fields: Mapping[str, object], groups: dict[str, list[tuple[int, str]]]) -> None:
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping) and not _is_physical(item):
                _collect(item, groups)
            else:
                _add(name, item, groups)


def _add(name: str, value: object, groups: dict[str, list[tuple[int, str]]]) -> None:
    if isinstance(value, bool) and name in FLAGS:
        word = FLAGS[name][not value]
        if word:
            groups.setdefault("", []).append((0, word))
        return
    if name in SILENT or (isinstance(value, int | str) and (name, value) in IDLE):
        return
    order, text = 0, ""
    if isinstance(value, Mapping):
        order = _UNIT_ORDER.get(str(value.get("Unit") or _unit_of(name)), 3)
        text = physical(value, _unit_of(name))
    else:
        text = (clean(str(value)) or '""') + SUFFIXES.get(name, "")
    groups.setdefault(LABELS.get(name, clean(name)), []).append((order, text))


def _is_physical(value: Mapping[str, object]) -> bool:
    """Physical values are pairs of multiplier and value, mostly with a unit."""
    return type(value.get("Value")) is int and type(value.get("Multiplier")) is int


def _unit_of(name: str) -> str:
    """Tell the unit of a value by its element: in DIN 70121 the unit may be absent."""
    return next((unit for word, unit in _UNIT_OF_NAME.items() if word in name), "")


def physical(value: Mapping[str, object], default_unit: str = "") -> str:
    """Write a physical value of a message in SI units (`4005 * 10^-1 V` is `400.5 V`)."""
    mantissa, exponent = value.get("Value"), value.get("Multiplier")
    if not isinstance(mantissa, int) or not isinstance(exponent, int):
        return clean(str(value))
    number = mantissa * 10.0 ** max(min(exponent, 9), -9)
    unit = value.get("Unit") or default_unit
    if unit in ("W", "Wh") and abs(number) >= 1000:
        number, unit = number / 1000, f"k{unit}"
    return f"{number:.6g} {_UNIT_WORDS.get(str(unit), clean(str(unit)))}".rstrip()
