"""SLAC (ISO 15118-3): which charger is this car plugged into."""
