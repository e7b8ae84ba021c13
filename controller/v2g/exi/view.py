"""The JSON view of a message: the schema's element names, lists for what may repeat.

Enumerations appear by their text, hexBinary in capitals, base64Binary in base64. What is absent in
the message is absent in the view. Where elements may come in any order, the keys stand in theirs.
"""

import base64
import binascii

from controller.errors import ExiError
from controller.v2g.exi.grammar import ComplexType, Grammar, Slot, State, ValueType
from controller.v2g.exi.schema import Binary, Boolean, Declared, ExiEnum, Integer
from controller.v2g.exi.walk import usual_order

Json = dict[str, object]
TEXT_KEY = "value"  # simple content beside attributes


def to_json(grammar: Grammar, message: Declared, name: str = "") -> Json:
    """Return the view of a message, or of another element, under its name."""
    type_ = grammar.types.get(type(message))
    if type_ is None or not (name or type_.element):
        raise ExiError(f"{type(message).__name__} is no element of this protocol")
    return {name or type_.element: _show(type_, message)}


def _show(type_: ComplexType, owner: Declared) -> Json:
    view: Json = {}
    for slot in type_.slots:
        if not slot.attr:
            inner = slot.options[0][1]
            assert isinstance(inner, ComplexType)
            view[slot.name] = _show(inner, owner)
            continue
        value = getattr(owner, slot.attr)
        if slot.many:
            for item in value:
                name, value_type = _option(slot, item)
                items = view.setdefault(name, [])
                assert isinstance(items, list)
                items.append(_show_value(value_type, item))
        elif value is not None:
            name, value_type = _option(slot, value)
            view[name or TEXT_KEY] = _show_value(value_type, value)
    order = getattr(owner, type_.order_attr) if type_.order_attr else None
    return view if order is None else _in_order(type_, view, order)


def _in_order(type_: ComplexType, view: Json, order: tuple[str, ...]) -> Json:
    """Return a view whose keys stand as the elements first do in the document."""
    slots = {name: slot.name for slot in type_.slots for name, _ in slot.options}
    places = {name: -index for index, name in enumerate(reversed(order), 1 - len(order))}
    return {key: view[key] for key in sorted(view, key=lambda key: places.get(slots[key], -1))}


def _option(slot: Slot, value: object) -> tuple[str, ValueType]:
    """Return name and type under which a slot shows a value."""
    for name, type_ in slot.options:
        if not isinstance(type_, ComplexType) or type(value) is type_.cls:
            return name, type_
    raise ExiError(f"{type(value).__name__} given", slot.name)


def _show_value(type_: ValueType, value: object) -> object:
    if isinstance(type_, ComplexType):
        assert isinstance(value, Declared)
        return _show(type_, value)
    if isinstance(value, ExiEnum):
        return value.value
    if isinstance(type_, Binary) and isinstance(value, bytes):
        return base64.b64encode(value).decode() if type_.base64 else value.hex().upper()
    return value


def from_json(grammar: Grammar, view: Json) -> Declared:
    """Return the message of a view. Raises ExiError with the path of what does not fit."""
    if len(view) != 1:
        raise ExiError("one root element expected")
    ((name, content),) = view.items()
    for known, _, type_ in grammar.fragments:
        if known == name and type_ is not None:
            return _build(type_, content, name)
    raise ExiError(f"{name} is no element of this protocol")


def _build(type_: ComplexType, view: object, path: str) -> Declared:
    values = _collect(type_, view, path)
    assert type_.cls is not None
    try:
        return type_.cls(**values)
    except TypeError as error:
        raise ExiError(str(error).partition(") ")[2] or str(error), path) from None


def _collect(type_: ComplexType, view: object, path: str) -> dict[str, object]:
    if not isinstance(view, dict):
        raise ExiError("no object", path)
    values: dict[str, object] = {}
    known = set()
    for slot in type_.slots:
        for name, value_type in slot.options:
            key = name or TEXT_KEY
            known.add(key)
            if key not in view:
                continue
            here = f"{path}.{key}"
            if isinstance(value_type, ComplexType) and value_type.cls is None:
                values |= _collect(value_type, view[key], here)
            elif slot.many:
                before = values.get(slot.attr, ())
                assert isinstance(before, tuple)
                values[slot.attr] = before + _items(value_type, view[key], here)
            else:
                values[slot.attr] = _parse(value_type, view[key], here)
    unknown = [key for key in view if key not in known]
    if unknown:
        raise ExiError("unknown", f"{path}.{unknown[0]}")
    if type_.order_attr:
        values |= _order(type_, view)
    return values


def _order(type_: ComplexType, view: Json) -> dict[str, object]:
    """Return the document order that the keys stand in, where it is allowed and unusual."""
    slots = {name: slot for slot in type_.slots for name, _ in slot.options}
    order: list[str] = []
    for key, value in view.items():
        if slots[key].kind != "attribute":
            order += [slots[key].name] * (len(value) if isinstance(value, list) else 1)
    if order == usual_order(type_, order) or not _is_allowed(type_, order):
        return {}
    return {type_.order_attr: tuple(order)}


def _is_allowed(type_: ComplexType, order: list[str]) -> bool:
    attributes = [p for p in type_.row if isinstance(p.of, Slot) and p.of.kind == "attribute"]
    state: State | None = type_.state(type_.row[len(attributes) :])
    for name in order:
        events = state.events if state else ()
        state = next((e.after for e in events if e.slot and e.slot.name == name), None)
    return state is not None


def _items(type_: ValueType, view: object, path: str) -> tuple[object, ...]:
    if not isinstance(view, list):
        raise ExiError("no list", path)
    return tuple(_parse(type_, item, f"{path}[{index}]") for index, item in enumerate(view))


def _parse(type_: ValueType, view: object, path: str) -> object:
    if isinstance(type_, ComplexType):
        return _build(type_, view, path)
    if isinstance(type_, Integer | Boolean):
        expected: type = bool if isinstance(type_, Boolean) else int
        if type(view) is not expected:
            raise ExiError(f"{view!r} is no {expected.__name__}", path)
        return view
    if not isinstance(view, str):
        raise ExiError(f"{view!r} is no string", path)
    try:
        if isinstance(type_, Binary):
            return base64.b64decode(view, validate=True) if type_.base64 else bytes.fromhex(view)
        return type_(view) if isinstance(type_, type) else view
    except (ValueError, binascii.Error):
        raise ExiError(f"{view!r} does not fit", path) from None
