"""Lines on standard error that never wait for who reads them: what a hard-timed process may say.

Under systemd that is the journal (then a line begins with its level), in a shell the terminal. A
line that would have to wait is dropped and counted, and so are lines beyond a rate at which nobody
would read them, for each level by itself; the next line that gets through says how many were.
"""

from __future__ import annotations

import os
import select

LONGEST = 1000
"""Bytes of a line; below PIPE_BUF, so that lines of two processes do not mix."""
AT_ONCE, PER_SECOND = 40, 2.0
"""So many lines in one go, and so many a second for ever."""
ERROR, WARNING, NOTICE = 3, 4, 5
"""Levels of syslog, as the journal reads them."""


class Journal:
    """Writes lines to a descriptor, standard error by default."""

    def __init__(self, fd: int = 2, *, with_level: bool | None = None) -> None:
        self.dropped = 0
        """Lines since the last one that got through."""
        self._fd = fd
        self._with_level = "JOURNAL_STREAM" in os.environ if with_level is None else with_level
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._allowed = dict.fromkeys((ERROR, WARNING, NOTICE), (float(AT_ONCE), 0.0))
        """Level -> how many lines may come, as of when: chatter does not crowd out a reason."""

    def say(self, now: float, text: str, level: int = NOTICE) -> bool:
        """Write one line, or drop it (False)."""
        allowed, said_at = self._allowed[level]
        allowed = min(AT_ONCE, allowed + (now - said_at) * PER_SECOND)
        if allowed < 1.0 or not self._has_room():
            self.dropped += 1
            return False
        self._allowed[level] = (allowed - 1.0, now)
        if self.dropped:
            text = f"{text} ({self.dropped} lines before this one were dropped)"
        head = f"<{level}>" if self._with_level else ""
        line = f"{head}{' '.join(text.split())}".encode(errors="replace")[:LONGEST] + b"\n"
        try:
            os.write(self._fd, line)
        except OSError:
            self.dropped += 1
            return False
        self.dropped = 0
        return True

    def _has_room(self) -> bool:
        try:
            ready = self._poll.poll(0)
        except OSError:
            return False
        return bool(ready) and bool(ready[0][1] & select.POLLOUT)
