"""What holds for every test."""

import signal

# A shell that starts a job in the background lets it ignore Ctrl-C, and so would every process that
# a test starts: those tests send Ctrl-C, and mean it.
signal.signal(signal.SIGINT, signal.default_int_handler)
