"""`ccs-pilot exi`: EXI payloads to JSON and back, in the shape of the schemas' element names.

    ccs-pilot exi decode din 809a0200...       one payload; without a name: the likeliest
    ccs-pilot exi decode --lines < lines       `PROTOCOL HEX` a line, one JSON object each
    ccs-pilot exi encode iso20 message.json    hex; a file, `-` for stdin, or the JSON itself
    ccs-pilot exi identify 80340466...         every protocol that the payload may be of

A V2GTP frame (01 FE ...) is taken as well as the payload in it; its payload type then tells which
namespace of ISO 15118-20 is meant.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from controller.errors import ConfigError, ExiError, WireError
from controller.v2g import v2gtp
from controller.v2g.messages import protocols

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = 1
"""Exit code where the payload or the message is refused; of --lines, never."""

SHOWN_BYTES = 6
"""So many bytes are shown in bits around the one that is wrong."""


class Payload(NamedTuple):
    """Bytes of EXI, and the type that a frame gave them."""

    exi: bytes
    payload_type: int | None


def add_arguments_exi(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ccs-pilot exi`."""
    parser.description = "EXI payloads to JSON and back."
    parser.add_argument("verb", choices=("decode", "encode", "identify"))
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="[PROTOCOL] [INPUT]",
        help=f"{', '.join(protocols.NAMES)}; hex or JSON, a file, or - for stdin (default)",
    )
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lines", action="store_true", help="`PROTOCOL HEX` or `PROTOCOL JSON` a line, in and out"
    )
    parser.add_argument(
        "--fragment", action="store_true", help="EXI fragments, as signatures are made over them"
    )
    parser.add_argument(
        "--as-heard",
        action="store_true",
        help="encode what real peers send and the schema forbids, where decode tolerates it",
    )


def run_exi(args: argparse.Namespace) -> int:
    """Run `ccs-pilot exi`; returns the exit code."""
    # Options may stand before, between and after the words, which a subparser cannot do by itself.
    inner = argparse.ArgumentParser(prog=f"ccs-pilot exi {args.verb}")
    inner.add_argument("words", nargs="*", metavar="[PROTOCOL] [INPUT]")
    _add_options(inner)
    inner.parse_intermixed_args(args.rest, args)
    words = list(args.words)
    protocol = words.pop(0) if words and words[0] in protocols.NAMES else ""
    if len(words) > 1:
        raise ConfigError(f"exi: {words[0]!r} is none of {', '.join(protocols.NAMES)}")
    source = words[0] if words else "-"
    if args.lines:
        return _run_lines(args, source)
    try:
        return _run_one(args, protocol, source)
    except ExiError as error:
        sys.stderr.write(f"ccs-pilot: {error}\n")
        return REFUSED


# -------------------------------------------------------------------------------- a single message


def _run_one(args: argparse.Namespace, protocol: str, source: str) -> int:
    text = _read(source)
    if args.verb == "encode":
        _write(_encode(protocol or "", text, args))
        return 0
    payload = _payload(text)
    try:
        if args.verb == "identify":
            return _identify(payload, args)
        found = _decode(protocol, payload, fragment=args.fragment)
    except ExiError as error:
        sys.stderr.write(f"ccs-pilot: {error}\n{point_at(payload.exi, error.bit_offset)}")
        return REFUSED
    _write(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    if found.superfluous:
        sys.stderr.write(f"ccs-pilot: {found.superfluous} bytes follow the message\n")
    return 0


def _identify(payload: Payload, args: argparse.Namespace) -> int:
    names = _names("", payload)
    found = protocols.identify(payload.exi, names, fragment=args.fragment)
    for each in found:
        rest = f"  ({each.superfluous} bytes follow)" if each.superfluous else ""
        _write(f"{each.protocol}  {each.name}{rest}")
    if found:
        return 0
    raise ExiError(f"no message of {', '.join(names)}")


def _names(protocol: str, payload: Payload) -> tuple[str, ...]:
    if protocol:
        return protocols.candidates(protocol, payload.payload_type)
    if payload.payload_type is None:
        return tuple(protocols.PROTOCOLS)
    if payload.payload_type in protocols.ISO20_BY_PAYLOAD_TYPE:
        return protocols.candidates("iso20", payload.payload_type)
    return ("sap", "din", "iso2")


def _decode(protocol: str, payload: Payload, *, fragment: bool) -> protocols.Found:
    return protocols.decode_any(_names(protocol, payload), payload.exi, fragment=fragment)


def _encode(protocol: str, text: str, args: argparse.Namespace) -> str:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ExiError(f"no JSON: {error}") from None
    except RecursionError:
        raise ExiError("no JSON: nested too deeply") from None
    if not isinstance(content, dict):
        raise ExiError("no JSON object")
    if not protocol:
        raise ConfigError("exi encode: name a protocol before the message")
    strict = not args.as_heard
    return protocols.encode(protocol, content, fragment=args.fragment, strict=strict).hex()


def point_at(payload: bytes, bit_offset: int | None) -> str:
    """Return two lines that show the bit at which decoding stopped; nothing without one.

    >>> print(point_at(bytes.fromhex("809affff"), 17), end="")
      byte 0: 10000000 10011010 11111111 11111111
                                 ^ bit 17
    """
    if bit_offset is None:
        return ""
    first = max(0, min(bit_offset // 8, len(payload)) - SHOWN_BYTES // 2)
    head = f"  byte {first}: "
    bits = " ".join(f"{byte:08b}" for byte in payload[first : first + SHOWN_BYTES])
    at = bit_offset - 8 * first
    return f"{head}{bits}\n{' ' * (len(head) + at + at // 8)}^ bit {bit_offset}\n"


# ------------------------------------------------------------------------------------------- lines


def _run_lines(args: argparse.Namespace, source: str) -> int:
    if args.verb == "identify":
        raise ConfigError("exi identify takes one payload, no --lines")
    answer = _decode_line if args.verb == "decode" else _encode_line
    if source == "-":
        for line in sys.stdin:
            _answer_line(answer, line, args)
    else:
        with _existing(source).open(encoding="utf-8") as file:
            for line in file:
                _answer_line(answer, line, args)
    return 0


def _answer_line(
    answer: Callable[[str, str, argparse.Namespace], str], line: str, args: argparse.Namespace
) -> None:
    """Write one line for one line, at once: the reader may wait for it."""
    protocol, _, rest = line.strip().partition(" ")
    try:
        if protocol not in protocols.NAMES:
            raise ExiError(f"{protocol!r} is none of {', '.join(protocols.NAMES)}")
        written = answer(protocol, rest.strip(), args)
    except WireError as error:
        written = _error_json(error)
    _write(written)
    sys.stdout.flush()


def _error_json(error: WireError) -> str:
    view: dict[str, object] = {"error": str(error)}
    if isinstance(error, ExiError) and error.bit_offset is not None:
        view["bit"] = error.bit_offset
    return json.dumps(view)


def _decode_line(protocol: str, text: str, args: argparse.Namespace) -> str:
    found = _decode(protocol, _payload(text), fragment=args.fragment)
    return json.dumps(found.to_json())


def _encode_line(protocol: str, text: str, args: argparse.Namespace) -> str:
    return _encode(protocol, text, args)


# ---------------------------------------------------------------------------------- input, output


def _read(source: str) -> str:
    """Return the text of stdin, of a file, or the word itself where there is no such file."""
    if source == "-":
        return sys.stdin.read()
    try:
        path = Path(source)
        if path.is_file():
            return path.read_text(encoding="utf-8")
    except OSError:
        pass  # too long for the name of a file: it is the text itself
    except UnicodeDecodeError:
        raise ConfigError(f"{source}: no text") from None
    return source


def _existing(source: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise ConfigError(f"{source}: no such file")
    return path


def _payload(text: str) -> Payload:
    """Return the bytes of a hex string, with or without a V2GTP header. Raises ExiError."""
    digits = "".join(text.split()).removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raise ExiError("no hex string") from None
    if not raw.startswith(bytes((v2gtp.VERSION, v2gtp.INVERSE_VERSION))):
        return Payload(raw, None)
    message = v2gtp.parse(raw)
    return Payload(message.payload, message.payload_type)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
