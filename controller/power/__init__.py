"""Power: modules, contactors, isolation monitor, battery, and the limits that hold."""
