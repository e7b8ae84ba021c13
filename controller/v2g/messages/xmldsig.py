"""XML signatures as EXI carries them in a message header (W3C XML Signature, 2nd edition)."""

from controller.v2g.exi.schema import (
    Declared,
    declare,
)


@declare("Signature")
class Signature(Declared):
    """A signature over parts of the message."""
