"""What the modem cores need from outside: a link that carries Ethernet frames, or an SPI device."""

from typing import Protocol


class FrameLink(Protocol):
    """An Ethernet link to a powerline modem (HomePlug ethertype 0x88E1 only)."""

    mac: bytes
    """Own station address, 6 bytes."""

    def fileno(self) -> int:
        """File descriptor that is readable when a frame waits."""

    def send(self, frame: bytes) -> None:
        """Send one frame without FCS. Raises PortError."""

    def receive(self) -> bytes | None:
        """Next waiting frame, or None. Raises PortError when the link is gone."""

    def close(self) -> None:
        """Release the link; closing twice is allowed."""


class SpiPort(Protocol):
    """A QCA7000/7005 on SPI with its interrupt line."""

    def transfer(self, data: bytes) -> bytes:
        """Shift out and in at once, chip select low; fewer bytes come back when it failed."""

    def fileno(self) -> int:
        """File descriptor that is readable after a rising edge of the interrupt line."""

    def take_edges(self) -> int:
        """Take the edges that waited; returns how many."""

    def close(self) -> None:
        """Release the device; closing twice is allowed."""
