"""Control pilot: the 1 kHz line between charger and car (IEC 61851-1 Annex A)."""
