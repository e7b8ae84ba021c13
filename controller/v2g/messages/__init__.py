"""The messages, declared once: supportedAppProtocol, DIN 70121, ISO 15118-2, ISO 15118-20."""
