"""V2G: SDP, V2GTP, EXI and the DIN 70121 conversation above IPv6."""
