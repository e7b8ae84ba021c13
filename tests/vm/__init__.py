"""Real kernel interfaces without a Pi: a real-time kernel of Debian's in qemu (`make vm-test`)."""
