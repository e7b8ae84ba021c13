"""Interoperation with the PyPI package `iso15118`: real sessions over a real link, both directions.

    python -m tests.interop              its EVCC at our charger, then our car at its SECC
    python -m tests.interop --peer-only  its EVCC at its SECC: does this machine carry a session?

| file        | what it is |
|-------------|------------|
| `__main__`  | the program: options, attempts, what is printed |
| `session`   | one run: both sides started, watched, judged |
| `ours`      | our two commands and their files: the only place to change when a flag changes |
| `peer`      | the package: its virtual environment, how each side is started, what its log says |
| `peer_secc` | its SECC with a power stage that follows (runs in the peer's environment) |
| `netns`     | two network namespaces and the veth pair between them |
| `process`   | child processes with a log, a time limit and a certain end |
| `wire`      | what was really on the link: a capture, and the time of every answer |
| `modem`     | the makers' modem tools at our simulated modem, beside `ccs-pilot modem` |
| `tshark`    | a second opinion on a capture, where tshark is installed |
"""
