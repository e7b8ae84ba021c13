"""Every error this package raises, split by whose fault it is.

    ControllerError
      +-- WireError      the peer: bytes that are no valid frame or message
      |     +-- ExiError the peer: an EXI payload, with field path and bit offset
      +-- SequenceError  the peer: a valid message at the wrong time
      +-- ConfigError    the operator: file, key, and what is allowed
      +-- PortError      the hardware or the operating system: what is missing, what to do

A core never lets one escape because of a peer: it answers, counts or reports. Any other
exception is a bug of ours.
"""


class ControllerError(Exception):
    """Root of all errors of this package; its text is one line that a user can act on."""


class WireError(ControllerError, ValueError):
    """Bytes that are not what the layer expects (length, fixed value, unknown type)."""


class ExiError(WireError):
    """An EXI payload that cannot be decoded, or a value that cannot be encoded.

    `path` names the field (`V2G_Message.Body.CurrentDemandReq.DC_EVStatus`), `bit_offset` the bit
    from the start of the payload at which decoding stopped (None when encoding).
    """

    def __init__(self, reason: str, path: str = "", bit_offset: int | None = None) -> None:
        self.reason = reason
        self.path = path
        self.bit_offset = bit_offset
        where = f"{path}: " if path else ""
        at = f" (at bit {bit_offset})" if bit_offset is not None else ""
        super().__init__(f"{where}{reason}{at}")


class SequenceError(ControllerError):
    """A well-formed message that is not allowed in this state."""


class ConfigError(ControllerError, ValueError):
    """A configuration file, key or command-line value that is not allowed."""


class PortError(ControllerError, OSError):
    """Hardware, a device file or a privilege that is missing or has failed."""
