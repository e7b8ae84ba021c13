"""The XML view of a message, for people who compare with tools that show EXI as XML.

Text that XML does not allow (a real car sends NULs) appears as U+FFFD.
"""

import base64
import re
from collections.abc import Iterator

from controller.errors import ExiError
from controller.v2g.exi.grammar import ComplexType, Grammar, Slot, ValueType
from controller.v2g.exi.schema import Binary, Declared, ExiEnum
from controller.v2g.exi.walk_back import is_xml_character

INDENT = "  "
IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
IN_ATTRIBUTE = IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})

TEXT_KINDS = ("text", "mixed")

Item = tuple[Slot, str, ValueType, object]
"""A piece of content: its slot, name, type and value; the owner for an implied parent."""


def to_xml(grammar: Grammar, message: Declared, name: str = "", namespace: str = "") -> str:
    """Return the XML document of a message, or of another element under its name.

    `namespace` is that of the root element, where neither its name nor its class says it.
    """
    type_ = grammar.types.get(type(message))
    if type_ is None or not (name or type_.element):
        raise ExiError(f"{type(message).__name__} is no element of this protocol")
    if name:  # an element's namespace is that of the schema it stands in, not that of its type
        places = [uri for each, uri, found in grammar.fragments if each == name and found is type_]
        namespace = places[0] if places else type_.namespace or namespace
    else:
        namespace = type_.namespace or namespace
    writer = _XmlWriter()
    writer.element(name or type_.element, namespace, type_, message, "")
    lines = writer.lines
    declared = "".join(f' xmlns:{p}="{uri}"' for uri, p in writer.prefixes.items())
    lines[0] = re.sub(r"^<[^\s/>]+", lambda found: found.group() + declared, lines[0])
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, ""])


class _XmlWriter:
    """Collects lines, and the prefixes of the namespaces that they use."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.prefixes: dict[str, str] = {}

    def element(
        self, name: str, namespace: str, type_: ValueType, value: object, indent: str | None
    ) -> None:
        """Add an element with all that is in it; without `indent`, all in one line."""
        tag = self._name(name, namespace)
        start = indent or ""
        if not isinstance(type_, ComplexType):
            self.lines.append(f"{start}<{tag}>{_text(type_, value).translate(IN_TEXT)}</{tag}>")
            return
        assert isinstance(value, Declared)
        attributes = self._attributes(type_, value)
        items = list(_content(type_, value))
        if not items:
            self.lines.append(f"{start}<{tag}{attributes}/>")
            return
        is_compact = indent is None or type_.mixed or items[0][0].kind == "text"
        mark = len(self.lines)
        for item in items:
            self._item(type_, item, None if is_compact else f"{indent}{INDENT}")
        inner, self.lines[mark:] = self.lines[mark:], []
        if is_compact:  # white space would count
            self.lines.append(f"{start}<{tag}{attributes}>{''.join(inner)}</{tag}>")
        else:
            self.lines += [f"{start}<{tag}{attributes}>", *inner, f"{start}</{tag}>"]

    def _item(self, owner: ComplexType, item: Item, indent: str | None) -> None:
        slot, name, type_, value = item
        if slot.kind in TEXT_KINDS:
            self.lines.append(_text(type_, value).translate(IN_TEXT))
            return
        namespace = slot.namespace or owner.namespace
        if isinstance(type_, ComplexType) and len(slot.options) > 1:
            namespace = type_.namespace
        self.element(name, namespace, type_, value, indent)

    def _attributes(self, type_: ComplexType, owner: Declared) -> str:
        found = ""
        for slot in type_.slots:
            value = getattr(owner, slot.attr) if slot.kind == "attribute" else None
            if value is not None:
                name = self._name(slot.name, slot.namespace)
                content = _text(slot.options[0][1], value).translate(IN_ATTRIBUTE)
                found += f' {name}="{content}"'
        return found

    def _name(self, name: str, namespace: str) -> str:
        """Return a name with the prefix of its namespace."""
        if not namespace:
            return name
        if namespace not in self.prefixes:
            last = re.split(r"[:/]", namespace)[-1]
            prefix = wanted = re.sub(r"[^a-z0-9]", "", last.lower()) or "ns"
            number = 2
            while prefix in self.prefixes.values():
                prefix = f"{wanted}{number}"
                number += 1
            self.prefixes[namespace] = prefix
        return f"{self.prefixes[namespace]}:{name}"


def _content(type_: ComplexType, owner: Declared) -> Iterator[Item]:
    """Return the content of an element in document order."""
    items: dict[str, list[Item]] = {}
    for slot in type_.slots:
        if slot.kind == "attribute":
            continue
        if not slot.attr:
            items[slot.name] = [(slot, slot.name, slot.options[0][1], owner)]
            continue
        value = getattr(owner, slot.attr)
        values = value if slot.many else () if value is None else (value,)
        items[slot.name] = [(slot, *_option(slot, each), each) for each in values]
    order = getattr(owner, type_.order_attr) if type_.order_attr else None
    for name in order or ():
        if not items.get(name):
            raise ExiError("the order of the content wants one more", name)
        yield items[name].pop(0)
    for found in items.values():
        yield from found


def _option(slot: Slot, value: object) -> tuple[str, ValueType]:
    for name, type_ in slot.options:
        if not isinstance(type_, ComplexType) or type(value) is type_.cls:
            return name, type_
    raise ExiError(f"{type(value).__name__} given", slot.name)


def _text(type_: ValueType, value: object) -> str:
    if isinstance(value, ExiEnum):
        return str(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(type_, Binary) and isinstance(value, bytes):
        return base64.b64encode(value).decode() if type_.base64 else value.hex().upper()
    return "".join(c if is_xml_character(c) else "\ufffd" for c in str(value))
