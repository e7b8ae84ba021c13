"""Schematics as programs (schemdraw): `make hw-docs` renders each one to an SVG beside it."""
