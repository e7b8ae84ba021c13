"""Names of elements where the grammar leaves them open (xs:any), by EXI's string tables.

The tables hold what the schema set declares (EXI 1.0, 7.3.1 and appendix D); of a name that is
found there, its place is written. Other names would be written out and then added to the tables: we
have no use for elements that no schema declares, and refuse them.
"""

from functools import cache

from controller.v2g.exi.bits import BitReader, BitWriter
from controller.v2g.exi.grammar import Grammar
from controller.v2g.exi.schema import TYPE_NAMES

FIRST_URIS = (
    "",
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2001/XMLSchema-instance",
    "http://www.w3.org/2001/XMLSchema",
)
"""What each table of URIs starts with where there is a schema."""


class NameTable:
    """The string tables of URIs and local names of a schema set."""

    def __init__(self, grammar: Grammar) -> None:
        found: dict[str, set[str]] = {uri: set(names) for uri, names in TYPE_NAMES.items()}
        for name, uri, _ in grammar.fragments:
            found.setdefault(uri, set()).add(name)
        self._locals = {uri: sorted(names) for uri, names in found.items()}
        self._uris = [*FIRST_URIS, *sorted(found.keys() - set(FIRST_URIS))]
        self._uri_bits = len(self._uris).bit_length()  # one code more: a URI that is written out

    def read(self, reader: BitReader) -> tuple[str, str]:
        """Return URI and local name. Raises ExiError if the tables have no such name."""
        start = reader.pos
        code = reader.read(self._uri_bits)
        if not 0 < code <= len(self._uris):
            raise reader.fail("element of an unknown namespace", start)
        uri = self._uris[code - 1]
        names = self._locals.get(uri, [])
        if reader.read_unsigned() != 0 or uri not in TYPE_NAMES:
            raise reader.fail(f"unknown element of {uri or 'no namespace'}", start)
        index = reader.read((len(names) - 1).bit_length())
        if index >= len(names):
            raise reader.fail(f"unknown element {index} of {uri}", start)
        return uri, names[index]

    def write(self, writer: BitWriter, uri: str, name: str) -> None:
        """Append URI and local name, which the tables have."""
        names = self._locals[uri]
        writer.write(self._uris.index(uri) + 1, self._uri_bits)
        writer.write_unsigned(0)
        writer.write(names.index(name), (len(names) - 1).bit_length())


@cache
def name_table(grammar: Grammar) -> NameTable:
    """Return the tables of a schema set."""
    return NameTable(grammar)
