"""Golden vectors, and the larger sets beside the repository where they are there."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from controller.v2g.messages import (
    din,
    iso2,
    iso20_ac,
    iso20_acdp,
    iso20_common,
    iso20_dc,
    iso20_wpt,
    sap,
)

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
SHARED = Path(os.environ.get("CCS_PILOT_SHARED", ROOT.parent / "shared")) / "vectors"
NAME_IN_C = str.maketrans("/- ", "___")  # enumeration members: W/s, MF-WPT1, External confirmation
MISSING = f"no vectors in {SHARED} (CCS_PILOT_SHARED names another folder)"
PROTOCOLS: dict[str, ModuleType] = {
    "sap": sap,
    "din": din,
    "iso2": iso2,
    "handshake": sap,
    "app": sap,
    "iso20-common": iso20_common,
    "iso20-ac": iso20_ac,
    "iso20-dc": iso20_dc,
    "iso20-acdp": iso20_acdp,
    "iso20-wpt": iso20_wpt,
}


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file with one a line."""
    with path.open() as file:
        for line in file:
            yield json.loads(line)


def golden() -> list[tuple[str, dict[str, Any]]]:
    """Return protocol and vector of every golden vector."""
    return [
        (path.stem, vector) for path in sorted(GOLDEN.glob("*.jsonl")) for vector in lines(path)
    ]


def payloads() -> list[tuple[ModuleType, bytes]]:
    """Return module and payload of every golden vector."""
    return [(PROTOCOLS[name], bytes.fromhex(vector["hex"])) for name, vector in golden()]


def content(view: dict[str, Any]) -> dict[str, Any]:
    """Return what is below the name of the message."""
    if "V2G_Message" in view:
        (body,) = view["V2G_Message"]["Body"].values()
        return dict(body)
    (body,) = view.values()
    return dict(body)


def alike(ours: object, fields: object) -> bool:
    """Compare with a C codec's fields: 0 and 1 for booleans, small letters and hex for binaries."""
    if isinstance(ours, dict) and isinstance(fields, dict):
        fields = {"value" if k == "CONTENT" else k: v for k, v in fields.items()}
        return ours.keys() == fields.keys() and all(alike(ours[k], fields[k]) for k in ours)
    if isinstance(ours, list) and isinstance(fields, list):
        return len(ours) == len(fields) and all(map(alike, ours, fields))
    if isinstance(ours, list) and len(ours) == 1:
        return alike(ours[0], fields)
    if isinstance(ours, str) and isinstance(fields, str) and ours != fields:
        if ours.translate(NAME_IN_C) == fields:
            return True
        return ours == fields.upper() or base64.b64decode(ours).hex() == fields
    return ours == fields
