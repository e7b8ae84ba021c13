"""`ccs-pilot decode FILE`: the conversation in a capture file, one line an event.

Standard output has the conversation, standard error what was wrong. Exit code 0: all read; 1: the
file or some packets are damaged, what could be read is shown; 2: not a readable capture, or the
conversation could not be written.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from controller.errors import PortError, WireError
from controller.listener.capture import in_time_order, open_capture, read_packets
from controller.listener.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controller.listener.entries import Entry

EXIT_OK, EXIT_DAMAGED, EXIT_UNREADABLE = 0, 1, 2

DESCRIPTION = """\
Show the conversation between car and charger in a capture file.

Reads pcap and pcapng files (as tcpdump and Wireshark write them), also gzipped, and decodes
powerline messages (SLAC), SDP, TCP connections, and the V2G messages in them: the
supportedAppProtocol handshake and DIN 70121. Messages of other protocols are named with their
length; with --json their bytes are there, too. TLS is not decrypted."""

EXAMPLES = """\
examples:
  ccs-pilot decode session.pcapng               the conversation, one line an event
  ccs-pilot decode session.pcap.gz | less       without colours, to page through
  ccs-pilot decode --json session.pcapng        one JSON object a line, with all fields
  tcpdump -i eth0 -U -w - | ccs-pilot decode -  while it happens

with --json, jq picks out what you want:
  ccs-pilot decode --json session.pcapng | jq 'select(.message == "CurrentDemandRes") | .json'

what you see:
  12.345  DIN    car > charger  CurrentDemandReq ready, SoC 43 %, target 400 V 120 A
  seconds since the first packet, layer (PLC, SDP, TCP, or the V2G protocol), who to whom, what

exit code: 0 all read; 1 damaged, what could be read is shown; 2 not a readable capture"""

_COLOURS = {"PLC": "36", "SDP": "35", "TCP": "2", "SAP": "33"}
_V2G_COLOUR = "32"
_FAILED_COLOUR = "31"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` needs."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = DESCRIPTION
    parser.epilog = EXAMPLES
    parser.add_argument("file", metavar="FILE", help="capture file; - is standard input")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line, with every field and the bytes"
    )
    parser.add_argument("--plain", action="store_true", help="no colours, also on a terminal")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ccs-pilot decode` and return its exit code."""
    parser = argparse.ArgumentParser(prog="ccs-pilot decode")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Show one capture; never raises for what a file contains."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a peer's text may be more than the terminal's
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _decode(args.file, _printer(args), flush=args.file == "-")
        sys.stdout.flush()
    except OSError as error:  # of standard output: the capture's own errors are dealt with
        # Python flushes standard output once more at its end; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader has seen enough: `| head`
            return EXIT_OK
        _complain(f"cannot write the conversation: {error.strerror or error}")
        return EXIT_UNREADABLE
    except KeyboardInterrupt:
        return 130
    return code


add_arguments_decode, run_decode = add_arguments, run
"""As the command line of `main` looks them up."""


def _decode(name: str, printer: _Printer, *, flush: bool) -> int:
    conversation = Conversation()
    try:
        with open_capture(name) as stream:
            for packet in in_time_order(read_packets(stream)):
                printer.start(name, packet.at_ns)
                printer.show(conversation.receive_packet(packet))
                if flush:
                    sys.stdout.flush()
    except (WireError, PortError) as error:
        text = str(error) if str(error).startswith(name) else f"{name}: {error}"
        if not conversation.packets:
            _complain(text)
            return EXIT_UNREADABLE
        printer.show(conversation.finish())
        _complain(f"{text}; shown is what comes before ({conversation.packets} packets)")
        return EXIT_DAMAGED
    printer.show(conversation.finish())
    if conversation.packets and conversation.damaged == conversation.packets:
        _complain(f"{name}: no packet can be read ({conversation.last_damage})")
        return EXIT_UNREADABLE
    printer.end(conversation)
    if conversation.damaged:
        _complain(
            f"{name}: {conversation.damaged} of {conversation.packets} packets cannot be read "
            f"(the last one: {conversation.last_damage})"
        )
        return EXIT_DAMAGED
    return EXIT_OK


def _complain(text: str) -> None:
    sys.stdout.flush()
    line = text.encode("utf-8", "backslashreplace").decode()
    sys.stderr.write(f"ccs-pilot decode: {line}\n")


def _printer(args: argparse.Namespace) -> _Printer:
    if args.json:
        return _JsonPrinter(sys.stdout)
    coloured = not args.plain and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return _TextPrinter(sys.stdout, coloured=coloured)


class _Printer(ABC):
    """Writes entries; times are relative to the first packet."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._start_ns: int | None = None

    def start(self, name: str, at_ns: int) -> None:
        """Tell the time of the first packet; more calls change nothing."""
        if self._start_ns is None:
            self._start_ns = at_ns
            self._head(name, at_ns)

    def show(self, entries: Iterable[Entry]) -> None:
        """Write these."""
        for entry in entries:
            seconds = (entry.at_ns - (self._start_ns or 0)) / 1e9
            self._out.write(self._line(entry, seconds) + "\n")

    @abstractmethod
    def end(self, conversation: Conversation) -> None:
        """Write a last line, where there is one."""

    @abstractmethod
    def _head(self, name: str, at_ns: int) -> None:
        """Write a first line, where there is one."""

    @abstractmethod
    def _line(self, entry: Entry, seconds: float) -> str:
        """Return an entry as it is printed."""


class _JsonPrinter(_Printer):
    def end(self, conversation: Conversation) -> None:
        """Write nothing: every line is an object."""

    def _head(self, name: str, at_ns: int) -> None:
        """Write nothing."""

    def _line(self, entry: Entry, seconds: float) -> str:
        record = {
            "t": round(seconds, 9),
            "at_ns": entry.at_ns,
            "layer": entry.layer,
            "from": entry.source,
            "to": entry.destination,
            "text": entry.text,
            **entry.details,
        }
        return json.dumps(record, separators=(",", ":"))


class _TextPrinter(_Printer):
    def __init__(self, out: TextIO, *, coloured: bool) -> None:
        super().__init__(out)
        self._coloured = coloured

    def _head(self, name: str, at_ns: int) -> None:
        shown = name.encode("utf-8", "backslashreplace").decode()
        self._out.write(f"# {shown}: {_clock(at_ns)}, times in seconds since then\n")

    def _line(self, entry: Entry, seconds: float) -> str:
        ends = f"{entry.source} > {entry.destination}"
        line = f"{seconds:9.3f}  {entry.tag:<5}  {ends:<16}  {entry.text}"
        if not self._coloured:
            return line
        colour = _COLOURS.get(entry.tag, _V2G_COLOUR)
        if "FAILED" in entry.text or entry.details.get("error"):
            colour = _FAILED_COLOUR
        return f"\x1b[{colour}m{line}\x1b[0m"

    def end(self, conversation: Conversation) -> None:
        if not conversation.packets:
            self._out.write("# no packets\n")
        elif not conversation.entries:
            self._out.write(f"# nothing of a charging session in {conversation.packets} packets\n")
        else:
            self._out.write(
                f"# {conversation.messages} V2G messages in {conversation.packets} packets\n"
            )


def _clock(at_ns: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
    except OverflowError:
        return f"{at_ns} ns after 1970"
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


if __name__ == "__main__":
    sys.exit(main())
