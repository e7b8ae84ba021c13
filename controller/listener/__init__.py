"""Listener: a capture of a charger and a car, read as one conversation."""
