"""Random valid messages of every type, coded by us and by EXIficient: same bytes, same content.

`make interop` runs it, and `python -m tests.interop.exi_oracle` alone.

Both directions: what we encode, EXIficient decodes to the content of the message; and from that
content it encodes the very bytes that we do, which we decode to the message. EXIficient makes its
grammars from schema files at run time, we have ours from the declarations in `controller`: no
mistake can be common to both.

What EXIficient cannot be asked (its way from XML, not its EXI): an xs:anyURI with white space that
XML Schema collapses before anything sees it. Such values are only decoded by it, and counted.

Without Java or the package this is skipped with a line.
"""

import argparse
import json
import random
import re
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import Declared
from controller.v2g.messages import protocols
from tests.interop import peer
from tests.v2g.exi.strategies import objects

BUDGET_S = 45.0
EXAMPLES = 6  # of one type in one round; at least one round is always complete

SIGNED = {
    "iso2": (
        "AuthorizationReq",
        "CertificateInstallationReq",
        "CertificateUpdateReq",
        "ContractSignatureCertChain",
        "ContractSignatureEncryptedPrivateKey",
        "DHpublickey",
        "MeteringReceiptReq",
        "SalesTariff",
        "SignedInfo",
        "eMAID",
    ),
    "iso20-common": (
        "AbsolutePriceSchedule",
        "CPSCertificateChain",
        "OEMProvisioningCertificateChain",
        "PnC_AReqAuthorizationMode",
        "SignedInfo",
        "SignedInstallationData",
        "SignedMeteringData",
    ),
    "dsig": ("SignedInfo",),
}
"""Elements whose fragments are signed."""

URIS = frozenset({"ProtocolNamespace"})
"""Elements of type xs:anyURI."""

_HANGING_S = 60.0  # without an answer

Ask = Callable[..., dict[str, Any]]

_BLANKS = re.compile("[ \\t\\r\\n]+")
_BEFORE_START = re.compile(r">\n *<(?!/)")
_BEFORE_END = re.compile(r"((?:</[^<>]*|/)>)\n *(?=</)")


class Difference(Exception):  # noqa: N818 (a finding)
    """The two codecs do not agree."""


class Oracle:
    """EXIficient in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(peer.python()), "-I", str(Path(__file__).with_name("peer_exi.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if not self._read():
            self.__exit__()
            raise peer.Unavailable("EXIficient does not start")

    def __enter__(self) -> "Oracle":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, **question: object) -> dict[str, Any]:
        """Return the answer to one question: see `peer_exi`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if not answer:
            raise BrokenPipeError("EXIficient has ended or hangs")
        return answer

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], _HANGING_S)[0]:
            self._process.kill()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return answer


@dataclass(frozen=True)
class Kind:
    """One type of message, or of element in a fragment."""

    protocol: str
    name: str
    strategy: st.SearchStrategy[Declared]
    fragment: bool = False

    @property
    def codec(self) -> Codec[Declared]:
        return protocols.codec(self.protocol)

    @property
    def group(self) -> str:
        """What it is counted as."""
        return f"{self.protocol} fragments" if self.fragment else self.protocol


def kinds() -> Iterator[Kind]:
    """Return every message of every protocol, and the signed elements."""
    for protocol in protocols.PROTOCOLS:
        codec = protocols.codec(protocol)
        if protocol in ("din", "iso2"):
            yield from _enveloped(protocol)
        else:
            for name, type_ in codec.grammar.roots.items():
                yield Kind(protocol, name, objects(codec.grammar, type_))
        for name in SIGNED.get(protocol, ()):
            (type_,) = (t for each, _, t in codec.grammar.fragments if each == name and t)
            yield Kind(protocol, name, objects(codec.grammar, type_), fragment=True)


def _enveloped(protocol: str) -> Iterator[Kind]:
    """Return the messages whose root is V2G_Message; once with a random header."""
    grammar = protocols.codec(protocol).grammar
    ((root, envelope),) = grammar.roots.items()
    yield Kind(protocol, root, objects(grammar, envelope))
    message: Any = envelope.cls
    module = __import__(message.__module__, fromlist=["BodyElement"])
    for type_ in grammar.types.values():
        cls = type_.cls
        if cls is None or not issubclass(cls, module.BodyElement) or type_.is_abstract:
            continue

        def wrap(pair: tuple[bytes, Declared]) -> Declared:
            made: Declared = message(session_id=pair[0], body=pair[1])
            return made

        both = st.tuples(st.binary(max_size=8), objects(grammar, type_))
        yield Kind(protocol, type_.element, both.map(wrap))


def compare(ask: Ask, kind: Kind, value: Declared) -> bool:
    """Code one value with both; False when its encoding could not be asked. Raises Difference."""
    codec = kind.codec
    if kind.fragment:
        ours = codec.encode_fragment(value, kind.name)
        back = codec.decode_fragment(ours)[1]
        xml = codec.to_xml(value, kind.name)
    else:
        ours = codec.encode(value)
        back = codec.decode(ours)
        xml = codec.to_xml(value)
    if back != value:
        _differ(kind, "decoded by ourselves", ours.hex(), repr(value), repr(back))
    where = {"schema": kind.protocol, "fragment": kind.fragment}
    xml = _BEFORE_END.sub(r"\1", _BEFORE_START.sub("><", xml)).strip()
    asked = not _has_blank_uri(xml)
    if asked:
        theirs = ask(**where, xml=xml)
        if theirs != {"hex": ours.hex()}:
            _differ(kind, "encoded", xml, ours.hex(), theirs.get("hex", theirs))
    decoded = ask(**where, hex=ours.hex())
    if "xml" not in decoded or not _is_same(xml, decoded["xml"]):
        _differ(kind, "decoded", ours.hex(), xml, decoded.get("xml", decoded))
    return asked


def _has_blank_uri(xml: str) -> bool:
    nodes = ElementTree.fromstring(xml).iter()
    texts = (node.text or "" for node in nodes if node.tag in URIS)
    return any(_BLANKS.sub(" ", text).strip(" ") != text for text in texts)


def _differ(kind: Kind, what: str, given: str, ours: object, theirs: object) -> None:
    text = f"{kind.protocol} {kind.name} {what} differently"
    raise Difference(f"{text}\n given  {given}\n ours   {ours}\n theirs {theirs}")


def _is_same(ours: str, theirs: str) -> bool:
    try:
        return _content(ElementTree.fromstring(ours)) == _content(ElementTree.fromstring(theirs))
    except ElementTree.ParseError:
        return False


def _content(node: ElementTree.Element) -> tuple[object, ...]:
    inside = [_content(child) for child in node]
    return node.tag, dict(node.attrib), node.text or "", node.tail or "", inside


def check(ask: Ask, kind: Kind, seed: int, examples: int = EXAMPLES) -> tuple[int, int]:
    """Compare random values of one type; return how many, and how many were not encoded.

    Raises Difference with a small value.
    """
    count = set_aside = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(kind.strategy)
    def run(value: Declared) -> None:
        nonlocal count, set_aside
        count += 1
        set_aside += not compare(ask, kind, value)

    run()
    return count, set_aside


def run(say: Callable[[str], None], *, budget_s: float = BUDGET_S, seed: int | None = None) -> int:
    """Compare for as long as the budget lasts; return 1 where anything differs."""
    try:
        peer.prepare(say)
        with Oracle() as oracle:
            return _run(
                say, oracle.ask, budget_s, random.randrange(10**6) if seed is None else seed
            )
    except peer.Unavailable as unavailable:
        say(f"EXI oracle skipped: {unavailable}")
        return 0


def _run(say: Callable[[str], None], ask: Ask, budget_s: float, seed: int) -> int:
    say(f"EXIficient as oracle: random messages of every type, both directions (seed {seed})")
    end = time.monotonic() + budget_s
    every = list(kinds())
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    failed: set[Kind] = set()
    rounds = 0
    while not rounds or time.monotonic() < end:
        for number, kind in enumerate(every):
            if rounds and time.monotonic() >= end:
                break
            if kind in failed:
                continue
            try:
                compared, set_aside = check(ask, kind, seed + 1000 * rounds + number)
                counts[kind.group] += compared
                left_out[kind.group] += set_aside
            except BrokenPipeError as broken:
                say(f"      FAILED: {broken}, at {kind.group} {kind.name}")
                return 1
            except Exception as error:  # whatever goes wrong is a finding
                failed.add(kind)
                say(f"      DIFFERENT: {kind.group} {kind.name}: {type(error).__name__} {error}")
        rounds += 1
    for group, types in Counter(kind.group for kind in every).items():
        wrong = sum(kind.group == group for kind in failed)
        say(
            f"      {group:22} {types:3} types {counts[group]:6} values"
            f" {left_out[group]:4} only decoded {wrong:3} types differ"
        )
    verdict = "FAILED" if failed else "PASSED"
    say(f"      {verdict}: {counts.total()} values of {len(every)} types, {len(failed)} differ")
    return 1 if failed else 0


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.exi_oracle", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the messages, to have the same again")
    parser.add_argument(
        "--seconds", type=float, default=BUDGET_S, help="at least one round is made"
    )
    options = parser.parse_args()
    return run(print, budget_s=options.seconds, seed=options.seed)


if __name__ == "__main__":
    sys.exit(_main())
