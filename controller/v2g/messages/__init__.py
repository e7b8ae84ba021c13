"""The messages, declared once: supportedAppProtocol, DIN 70121."""
