"""A CCS charging controller: charger (evse), vehicle (pev) and listener."""

__version__ = "0.1.0"
