"""`make vm-test`: tests/vm against a real kernel, on this machine's own root; one exit status.

The kernel (see `kernel`) boots in qemu with this machine's root mounted read-only under a layer of
memory, so the project and its .venv are just there and nothing here can be changed. Inside, pytest
runs the tests of this folder with real processes and the real client libraries. Emulated (never by
KVM: where it exists it does not always work), so it shows that things work, not how fast.

    python -m tests.vm                     everything
    python -m tests.vm -k i2c              arguments go to pytest
    python -m tests.vm --shell 'ls /dev'   one command inside instead
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.vm.kernel import Kernel, UnavailableError, prepare, say

ROOT = Path(__file__).parents[2]
PACKAGES = ("lgpio>=0.2.2", "gpiod>=2.1")
"""Client libraries of the kernel's GPIO; not in .venv because they have no wheels everywhere."""
SKIPPED = 77
"""Exit status when the VM cannot be had: neither passed nor failed, and said."""
LIMIT_S = 280
MEMORY_MIB = 1024
SHARED_READ_ONLY = "security_model=none,readonly=on,multidevs=remap"
STATUS = re.compile(rb"VM-STATUS (\d+)")

BOOT = """#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t tmpfs -o size=400m,mode=755 layer /mnt
mkdir -p /mnt/upper /mnt/work /mnt/new
mount -t overlay root -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/new
cd /mnt/new
mount -t devtmpfs dev dev; mount -t proc proc proc; mount -t sysfs sys sys
mount -t tmpfs -o mode=755 run run; mount -t configfs configfs sys/kernel/config
mkdir -p dev/pts dev/shm lib/modules/{version} mnt/old
mount -t devpts -o ptmxmode=666 pts dev/pts; mount -t tmpfs shm dev/shm
mount --bind {modules} lib/modules/{version}
insmod {built}/gpio-sim-oot.ko
# gpiozero asks /proc/cpuinfo which Pi it runs on; this is a 4B.
(cat /proc/cpuinfo; printf 'Revision\\t: c03114\\n') > run/cpuinfo
mount --bind run/cpuinfo proc/cpuinfo
pivot_root . mnt/old
ip link set lo up
cd /
export CCS_VM={built} PYTHONPATH={site} PYTHONDONTWRITEBYTECODE=1
chroot . /bin/bash -c 'cd {root} && {command}'
echo "VM-STATUS $?"
exec /bin/busybox poweroff -f
"""


def main() -> int:
    """Prepare, boot, pass the status on."""
    parser = argparse.ArgumentParser(prog="tests.vm", description=__doc__)
    parser.add_argument("--shell", help="run this inside instead of the tests")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ccs-pilot" / "vm")
    args, rest = parser.parse_known_args()
    started = time.monotonic()
    try:
        kernel = prepare(args.cache)
        site = packages(args.cache)
    except UnavailableError as error:
        say(f"cannot run here: {error}")
        return SKIPPED
    prepared_s = time.monotonic() - started
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "--color=no",
        "tests/vm",
        *rest,
    ]
    status = boot(kernel, site, args.shell or " ".join(words))
    took_s = time.monotonic() - started
    word = "passed" if status == 0 else f"FAILED (status {status})"
    say(f"{word}; {took_s:.0f} s, {prepared_s:.0f} s of it preparing")
    return status


def packages(cache: Path) -> Path:
    """Install the client libraries beside the kernel, once per Python version."""
    site = cache / f"site-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = site / "-".join(["ready", *PACKAGES]).replace(">=", "")
    if not stamp.exists():
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--only-binary", ":all:",
             "--disable-pip-version-check", "--target", str(site), *PACKAGES],
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise UnavailableError("pip could not install " + " ".join(PACKAGES))
        stamp.touch()
    return site


def boot(kernel: Kernel, site: Path, command: str) -> int:
    """Run one command inside; returns its exit status, or 1 when the machine did not say."""
    with tempfile.TemporaryDirectory(dir=kernel.folder) as folder:
        init = Path(folder) / "init"
        init.write_text(
            BOOT.format(
                version=kernel.version,
                modules=kernel.modules,
                built=kernel.built,
                root=ROOT,
                site=site,
                command=command,
            )
        )
        init.chmod(0o755)
        qemu = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-smp", str(os.cpu_count() or 1), "-m", str(MEMORY_MIB),
            "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
            "-virtfs", f"local,path=/,mount_tag=root,{SHARED_READ_ONLY}",
            "-kernel", str(kernel.image), "-initrd", str(kernel.initramfs),
            "-append", f"console=ttyS0 quiet panic=-1 mitigations=off next={init}",
        ]  # fmt: skip
        return watch(qemu)


def watch(qemu: list[str]) -> int:
    """Pass on what the machine prints, up to its status."""
    process = subprocess.Popen(
        ["timeout", "-k", "5", str(LIMIT_S), *qemu],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    status = None
    for line in process.stdout:
        found = STATUS.search(line)
        if found:
            status = int(found[1])
        elif b"SeaBIOS" not in line:
            sys.stdout.write(line.decode(errors="replace").replace("\r", ""))
            sys.stdout.flush()
    process.wait()
    if status is None:
        say(f"the machine ended without a status (limit {LIMIT_S} s)")
    return 1 if status is None else status


if __name__ == "__main__":
    sys.exit(main())
