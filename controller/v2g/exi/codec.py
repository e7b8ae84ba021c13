"""The codec of one protocol: declarations in, `encode` and `decode` out."""

from typing import Generic, TypeVar

from controller.v2g.exi.schema import Declared

Json = dict[str, object]
M = TypeVar("M", bound=Declared)


class Codec(Generic[M]):
    """Encoder, decoder and JSON view of one protocol, compiled at first use."""

    def __init__(self, name: str, namespace: str, *, roots: tuple[type[M], ...]) -> None:
        self.name = name

    def decode(self, payload: bytes) -> M:
        """Return the message in `payload`."""
        raise NotImplementedError

    def decode_counting(self, payload: bytes) -> tuple[M, int]:
        """Return the message and the number of bytes after it."""
        raise NotImplementedError

    def encode(self, message: M) -> bytes:
        """Return the payload of `message`."""
        raise NotImplementedError

    def to_json(self, message: M) -> Json:
        """Return the JSON view of `message`."""
        raise NotImplementedError

    def from_json(self, view: Json) -> M:
        """Return the message of a JSON view."""
        raise NotImplementedError
