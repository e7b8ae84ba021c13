"""A simulated pigpio daemon: its socket protocol, its GPIO, and what is wired to them."""
