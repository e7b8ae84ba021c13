"""`ccs-pilot pib`: parameter files of modems, without a modem.

Reads and writes the files of the makers' tools: flat ones (old chips) and chained ones (QCA7000 and
later), as `plctool -p` and `ccs-pilot modem backup` make them. What it writes is accepted by
chkpib2, setpib, modpib and `plctool -P`. Exit code 0: well, or equal; 1: not; 2: no such thing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ConfigError, PortError, WireError
from controller.modem_run import read_file
from controller.modem_view import field_lines, fields_json
from controller.plc import pib, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OK, FOUND = 0, 1
NID_TEXT = "the nid does not follow from the nmk: chkpib2 and plctool refuse such a file"

EXAMPLES = """\
examples:
  ccs-pilot pib show modem.pib                    every field with name, offset and meaning
  ccs-pilot pib show modem.pib mac slac 0x1653    some fields, by name or offset
  ccs-pilot pib diff before.pib after.pib         fields and bytes that differ
  ccs-pilot pib set modem.pib --role evse         what `ccs-pilot modem configure` changes
  ccs-pilot pib set modem.pib user=EVSE 0xF4=02   fields by name; bytes by offset, in hex
  ccs-pilot pib set modem.pib nmk=HEX             also writes the nid that follows from it
  ccs-pilot pib check modem.pib                   structure and checksums

exit code: 0 well, or equal; 1 damaged, or different; 2 not done, the line says why"""


def run_show(args: argparse.Namespace) -> int:
    """Show fields of a file."""
    (file,) = args.file
    image = image_of(file, read_file(file))
    fields = [pib.field_named(name) for name in args.field]
    for field in fields:
        if field.offset + field.length > len(image):
            raise ConfigError(f"{file}: the image ends at {len(image):#x}, before {field.name}")
    if args.json:
        shown = {f.name: pib.shown(f, pib.read(image, f)) for f in fields}
        say_json(shown or fields_json(image))
    elif fields:
        say(f"{f.name} {pib.shown(f, pib.read(image, f))}" for f in fields)
    else:
        say([f"{file}: {form_of(read_file(file))}, {len(image)} bytes", *field_lines(image)])
    return OK


def run_diff(args: argparse.Namespace) -> int:
    """Show what differs between two files; exit code 1 when something does."""
    one, other = (image_of(file, read_file(file)) for file in args.file)
    found = list(differing(one, other))
    if args.json:
        say_json([{"offset": o, "field": n, "first": a, "second": b} for o, n, a, b in found])
    else:
        say(f"{o:#06x}  {n:<16} {a or '-'}  ->  {b or '-'}" for o, n, a, b in found)
    return FOUND if found else OK


def run_set(args: argparse.Namespace) -> int:
    """Change fields of a file in place, sums right; the file is replaced as a whole."""
    (file,) = args.file
    data = read_file(file)
    image_of(file, data)  # says what is wrong with it
    values = pib.role_values(args.role) if args.role else {}
    for words in args.field:
        field, value = pib.assignment(words)
        values[field] = value
    if pib.NMK in values and pib.NID not in values:
        values[pib.NID] = wire.nid_from_nmk(values[pib.NMK])
    if not values:
        raise ConfigError("nothing to set: name fields as slac=2, or --role evse|pev")
    try:
        after = pib.patched(data, values)
    except WireError as error:
        raise ConfigError(f"{file}: {error}") from None
    target = args.to or file
    replace_file(target, after)
    changed = list(differing(pib.from_chain(data), pib.from_chain(after)))
    if args.json:
        say_json([{"offset": o, "field": n, "before": a, "after": b} for o, n, a, b in changed])
    else:
        say(f"{o:#06x}  {n:<16} {a}  ->  {b}" for o, n, a, b in changed)
    return OK


def run_check(args: argparse.Namespace) -> int:
    """Prove structure and sums of files; exit code 1 when one is damaged."""
    verdicts = []
    for file in args.file:
        data = read_file(file)
        try:
            image = pib.from_chain(data)
            wrong = "" if pib.nid_follows(image) else NID_TEXT
        except WireError as error:
            wrong = str(error)
        verdicts.append((file, wrong))
        if wrong not in ("", NID_TEXT) and args.repair:
            repair(file, data)
            verdicts[-1] = (file, "")
    if args.json:
        say_json([{"file": str(file), "ok": not wrong, "why": wrong} for file, wrong in verdicts])
    else:
        say(f"{file}: {wrong or 'looks good'}" for file, wrong in verdicts)
    return FOUND if any(wrong for _, wrong in verdicts) else OK


def repair(file: Path, data: bytes) -> None:
    """Put the sums of a file right. Raises ConfigError when more is wrong."""
    try:
        replace_file(file, pib.repaired(data))
    except WireError as error:
        raise ConfigError(f"{file}: more is wrong than checksums ({error})") from None


# --- helpers -------------------------------------------------------------------------------------


def image_of(file: Path, data: bytes) -> bytes:
    """Return the parameter block of a file. Raises ConfigError naming the file."""
    try:
        return pib.from_chain(data)
    except WireError as error:
        raise ConfigError(f"{file}: no sound parameter file ({error})") from None


def form_of(data: bytes) -> str:
    """Say which form a file has."""
    if data[:4] != pib.CHAIN_MAGIC:
        return "flat"
    count = len(pib.images(data))
    return f"chain of {count} image{'' if count == 1 else 's'}"


def differing(one: bytes, other: bytes) -> Iterable[tuple[int, str, str, str]]:
    """Give offset, field and both values of everything that differs; bytes without a field too."""
    covered: set[int] = set()
    for field in pib.FIELDS:
        first, second = pib.read(one, field), pib.read(other, field)
        covered |= set(range(field.offset, field.offset + field.length))
        if first != second:
            yield field.offset, field.name, pib.shown(field, first), pib.shown(field, second)
    for offset, length in pib.differences(one, other):
        rest = [i for i in range(offset, offset + length) if i not in covered]
        if rest:
            start, end = rest[0], rest[-1] + 1
            yield start, "-", one[start:end].hex(), other[start:end].hex()


def replace_file(file: Path, data: bytes) -> None:
    """Replace a file by another beside it, so that it is never half written. Raises PortError."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with beside.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise PortError(f"{file}: cannot be written ({error.strerror})") from None


def say(lines: Iterable[str]) -> None:
    """Write the answer."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def say_json(value: object) -> None:
    """Write the answer as JSON."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


# --- the command line ----------------------------------------------------------------------------

ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "show": (run_show, "fields of a file with offset and meaning"),
    "diff": (run_diff, "what differs between two files (exit code 1: something)"),
    "set": (run_set, "change fields, with right checksums"),
    "check": (run_check, "prove structure and checksums"),
}

FILES: dict[str, int | str] = {"check": "+", "diff": 2}
"""How many files an action takes; the others take one."""


def add_arguments_pib(parser: argparse.ArgumentParser) -> None:
    """Declare what `run_pib` needs."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for name, (_, text) in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--json", action="store_true", help="print one JSON value")
        number = FILES.get(name, 1)
        action.add_argument("file", metavar="FILE", type=Path, nargs=number)
        if name == "show":
            action.add_argument("field", metavar="FIELD", nargs="*", help="name or 0xOFFSET")
        elif name == "set":
            action.add_argument("field", metavar="FIELD=VALUE", nargs="*")
            action.add_argument("--role", choices=("evse", "pev"), help="as modem configure does")
            action.add_argument("--to", metavar="FILE", type=Path, help="write another file")
        elif name == "check":
            action.add_argument("--repair", action="store_true", help="put wrong checksums right")


def run_pib(args: argparse.Namespace) -> int:
    """Run `ccs-pilot pib`; raises ControllerError with one line when it cannot."""
    return ACTIONS[args.action][0](args)
