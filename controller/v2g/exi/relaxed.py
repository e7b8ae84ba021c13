"""Fragments of an element whose name stands for several types: eMAID of ISO 15118-2.

A fragment tells the name of its element, but not which type it has. Where the schema set gives one
name to elements of different types, EXI 1.0, 8.5.3 therefore takes a grammar of its own, the
element fragment grammar: it lets all attributes and elements of the set come, and all values are
text. We need it for what is signed, which is attributes and a text.
"""

from controller.errors import ExiError
from controller.v2g.exi.bits import BitReader, BitWriter
from controller.v2g.exi.grammar import ComplexType, Grammar, Slot
from controller.v2g.exi.schema import Declared, Text


class RelaxedGrammar:
    """Event codes of the two states: before the text and after it."""

    def __init__(self, grammar: Grammar) -> None:
        attributes, elements = len(grammar.attributes), len(grammar.fragments)
        self.names = grammar.attributes
        self.end_without_text = attributes + elements + 2  # any attribute, elements, any element
        self.text = self.end_without_text + 1
        self.first_bits = (self.text + 1).bit_length()
        self.end = elements + 1
        self.last_bits = (self.end + 2).bit_length()

    def read(self, reader: BitReader, type_: ComplexType) -> Declared:
        """Return the object of an element whose name has been read. Raises ExiError."""
        text, attributes = _slots(type_)
        values: dict[str, object] = {}
        while True:
            start = reader.pos
            code = reader.read(self.first_bits)
            if code < len(self.names) and self.names[code] in attributes:
                values[attributes[self.names[code]].attr] = reader.read_text()
            elif code == self.text:
                values[text.attr] = reader.read_text()
                start = reader.pos
                code = reader.read(self.last_bits)
                if code != self.end:
                    raise reader.fail(f"event code {code} is not the end", start)
                break
            elif code == self.end_without_text:
                values[text.attr] = ""
                break
            else:
                raise reader.fail(f"event code {code} is no attribute or text of it", start)
        for particle in type_.row:
            slot = particle.of
            if isinstance(slot, Slot) and slot.attr not in values and not particle.is_optional:
                raise reader.fail(f"{slot.name} is missing")
        assert type_.cls is not None
        return type_.cls(**values)

    def write(self, writer: BitWriter, type_: ComplexType, value: Declared) -> None:
        """Append an object, whose values have been checked."""
        text, attributes = _slots(type_)
        for name, slot in sorted(attributes.items()):
            if getattr(value, slot.attr) is not None:
                writer.write(self.names.index(name), self.first_bits)
                writer.write_text(getattr(value, slot.attr))
        content: str = getattr(value, text.attr)
        if not content:
            writer.write(self.end_without_text, self.first_bits)
            return
        writer.write(self.text, self.first_bits)
        writer.write_text(content)
        writer.write(self.end, self.last_bits)


def _slots(type_: ComplexType) -> tuple[Slot, dict[tuple[str, str], Slot]]:
    """Return the slot of the text, and those of the attributes by name and namespace."""
    attributes = {(s.name, s.namespace): s for s in type_.slots if s.kind == "attribute"}
    texts = [slot for slot in type_.slots if slot.kind == "text"]
    values = [*texts, *attributes.values()]
    if len(texts) != 1 or not all(isinstance(slot.options[0][1], Text) for slot in values):
        raise ExiError("fragment of an element with several types and more than a text")
    return texts[0], attributes
