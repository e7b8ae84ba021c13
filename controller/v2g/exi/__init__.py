"""EXI codec: schema-informed, bit-packed, compiled from the message declarations."""
