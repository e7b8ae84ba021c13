"""One readable line per V2G message, from its JSON view.

Physical values appear in SI units, values of the same kind together (`target 400 V 125 A`), the
ResponseCode first; what says nothing (`NO_ERROR`, a flag that is not set) is left out. A field this
page does not know appears under its own name, so nothing unusual is hidden. Text comes from a peer:
control characters never reach the terminal.
"""

from __future__ import annotations

import re
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
    # ISO 15118-2
    "RequestedEnergyTransferMode": "",
    "EnergyTransferMode": "",
    "ChargeProgress": "",
    "ChargingSession": "",
    "MaxEntriesSAScheduleTuple": "schedules up to",
    "DepartureTime": "departs in",
    "EVSETimeStamp": "time",
    "EAmount": "wants",
    "EVMaxVoltage": "EV max",
    "EVMaxCurrent": "EV max",
    "EVMinCurrent": "EV min",
    "EVSENominalVoltage": "nominal",
    "EVSEMaxCurrent": "EVSE max",
    "ChargingProfileEntryMaxPower": "profile",
    "ChargingProfileEntryMaxNumberOfPhasesInUse": "phases",
    "MeterID": "meter",
    "MeterReading": "meter",
    "TMeter": "meter",
    # ISO 15118-20
    "EVMaximumVoltage": "EV max",
    "EVMinimumVoltage": "EV min",
    "EVMaximumChargeCurrent": "EV max",
    "EVMinimumChargeCurrent": "EV min",
    "EVMaximumChargePower": "EV max",
    "EVMinimumChargePower": "EV min",
    "EVMaximumDischargeCurrent": "EV max discharge",
    "EVMinimumDischargeCurrent": "EV min discharge",
    "EVMaximumDischargePower": "EV max discharge",
    "EVMinimumDischargePower": "EV min discharge",
    "EVPresentVoltage": "EV present",
    "EVPresentActivePower": "EV present",
    "EVTargetEnergyRequest": "wants",
    "EVSEMaximumVoltage": "EVSE max",
    "EVSEMinimumVoltage": "EVSE min",
    "EVSEMaximumChargeCurrent": "EVSE max",
    "EVSEMinimumChargeCurrent": "EVSE min",
    "EVSEMaximumChargePower": "EVSE max",
    "EVSEMinimumChargePower": "EVSE min",
    "EVSEMaximumDischargeCurrent": "EVSE max discharge",
    "EVSEMinimumDischargeCurrent": "EVSE min discharge",
    "EVSEMaximumDischargePower": "EVSE max discharge",
    "EVSEMinimumDischargePower": "EVSE min discharge",
    "EVSENominalFrequency": "nominal",
    "EVSEPresentActivePower": "present",
    "EVSETargetActivePower": "target",
    "PresentSOC": "SoC",
    "EVProcessing": "",
    "AuthorizationServices": "",
    "SelectedAuthorizationService": "",
    "ScheduleTupleID": "schedule",
    "SelectedScheduleTupleID": "schedule",
}
"""Element name -> word; values under the same word are put together. An empty word: value alone."""

SUFFIXES = {
    "EVRESSSOC": " %",
    "FullSOC": " %",
    "BulkSOC": " %",
    "PresentSOC": " %",
    "MinimumSOC": " %",
    "TargetSOC": " %",
    "MaximumSOC": " %",
    "NotificationMaxDelay": " s",
    "DepartureTime": " s",
    "MeterReading": " Wh",
    "ChargedEnergyReadingWh": " Wh",
}

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
    "RCD": ("RCD has tripped", ""),
    "ReceiptRequired": ("receipt required", ""),
    "MeterInfoRequested": ("meter requested", ""),
    "CertificateInstallationService": ("installs certificates", ""),
    "ServiceRenegotiationSupported": ("renegotiates services", ""),
}
"""Element name -> (word when true, word when false)."""

BINARY = frozenset(
    {
        "Certificate",
        "OEMProvisioningCert",
        "GenChallenge",
        "SigMeterReading",
        "MeterSignature",
        "ContractSignatureEncryptedPrivateKey",
        "DHpublickey",
        "DHPublicKey",
        "SECP521_EncryptedPrivateKey",
        "X448_EncryptedPrivateKey",
        "TPM_EncryptedPrivateKey",
    }
)
"""Elements in base64: their size is shown."""

EPOCH = frozenset({"EVSETimeStamp", "TMeter"})
"""Seconds since 1970."""

WHOLE = {
    "SalesTariff": "tariff",
    "AbsolutePriceSchedule": "prices",
    "EVAbsolutePriceSchedule": "prices",
    "PriceLevelSchedule": "price levels",
}
"""Elements with more in them than a line can show: only that they are there."""

SILENT = frozenset(
    {
        "ServiceID",
        "PMaxScheduleID",
        "start",
        "duration",
        "ChargingProfileEntryStart",
        "Id",
        "TimeAnchor",
        "Duration",
        "X509IssuerName",
        "X509SerialNumber",
    }
)
"""Numbers that mean nothing without the whole message: see the JSON."""

IDLE = frozenset(
    {
        ("EVErrorCode", "NO_ERROR"),
        ("EVSENotification", "None"),
        ("NotificationMaxDelay", 0),
    }
)
"""Values that say that there is nothing to say."""

_PHASE = re.compile("_L[23]$")
"""ISO 15118-20 has a value of each phase; all of them stand under the word of the first."""
_UNIT_ORDER = {"V": 0, "A": 1, "W": 2}
_UNIT_OF_NAME = {
    "Ramp": "",
    "ReactivePower": "VAr",
    "Voltage": "V",
    "Current": "A",
    "Power": "W",
    "Energy": "Wh",
    "Frequency": "Hz",
    "RemainingTime": "s",
}
_UNIT_WORDS = {"m": "min"}
"""The schemas call minutes `m`."""
_TEXT_LIMIT = 80
_LIST_LIMIT = 4


def clean(text: str) -> str:
    """Make a peer's text harmless and short: what cannot be printed becomes an escape."""
    return printable(text[:_TEXT_LIMIT]) + ("..." if len(text) > _TEXT_LIMIT else "")


def printable(text: str) -> str:
    """Return one line that does nothing to a terminal; what cannot be printed is an escape."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


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
            if name in WHOLE:
                groups["with"] = sorted({*groups.get("with", []), (0, WHOLE[name])})
            elif name == "Parameter" and isinstance(item, Mapping):
                groups.setdefault("parameters", []).append((0, _parameter(item)))
            elif not isinstance(item, Mapping) or _is_physical(item):
                _add(name, item, groups)
            elif "value" in item:  # an element with a text and an Id
                _add(name, item["value"], groups)
            else:
                _collect(item, groups)


def _parameter(item: Mapping[str, object]) -> str:
    """Write a parameter of a service: its name and the one value that it has."""
    values = [value for key, value in item.items() if key not in ("Name", "ValueType")]
    texts = [physical(v) if isinstance(v, Mapping) else clean(str(v)) for v in values]
    return f"{clean(str(item.get('Name')))}={' '.join(texts)}"


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
        text = _scalar(name, value)
    label = LABELS.get(_PHASE.sub("", name), clean(name))
    groups.setdefault(label, []).append((order, text))


def _scalar(name: str, value: object) -> str:
    if name in BINARY and isinstance(value, str):
        return f"{len(value.rstrip('=')) * 3 // 4} bytes"
    if name in EPOCH and isinstance(value, int) and 0 <= value < 1 << 36:
        return _utc(value)
    return (clean(str(value)) or '""') + SUFFIXES.get(name, "")


def _utc(seconds: int) -> str:
    """Write a time since 1970 as date and time: no clock here, and no module that has one."""
    days, second = divmod(seconds, 86_400)
    era, day = divmod(days + 719_468, 146_097)  # 400 years each, the first on 1 March of year 0
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153  # from March
    day -= (153 * month + 2) // 5
    year += 400 * era + (month >= 10)
    month = month - 9 if month >= 10 else month + 3
    hour, minute, second = second // 3600, second // 60 % 60, second % 60
    return f"{year}-{month:02}-{day + 1:02}T{hour:02}:{minute:02}:{second:02}Z"


def _is_physical(value: Mapping[str, object]) -> bool:
    """Physical values are pairs of value and multiplier (ISO 15118-20: exponent)."""
    return type(value.get("Value")) is int and type(_exponent(value)) is int


def _exponent(value: Mapping[str, object]) -> object:
    return value.get("Multiplier", value.get("Exponent"))


def _unit_of(name: str) -> str:
    """Tell the unit by the element: optional in DIN 70121, never there in ISO 15118-20."""
    return next((unit for word, unit in _UNIT_OF_NAME.items() if word in name), "")


def physical(value: Mapping[str, object], default_unit: str = "") -> str:
    """Write a physical value of a message in SI units (`4005 * 10^-1 V` is `400.5 V`)."""
    mantissa, exponent = value.get("Value"), _exponent(value)
    if not isinstance(mantissa, int) or not isinstance(exponent, int):
        return clean(str(value))
    number = mantissa * 10.0 ** max(min(exponent, 9), -9)
    unit = value.get("Unit") or default_unit
    if unit in ("W", "Wh") and abs(number) >= 1000:
        number, unit = number / 1000, f"k{unit}"
    return f"{number:.6g} {_UNIT_WORDS.get(str(unit), clean(str(unit)))}".rstrip()
