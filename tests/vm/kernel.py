"""Debian's real-time kernel, made ready to boot in qemu: fetched, unpacked, two drivers added.

Debian's kernel has I2C, CAN, IIO, watchdog and PREEMPT_RT, but no gpio-sim and no PWM that could be
there without a chip. Their sources are Debian's, too: a few files are taken from the source package
and built as modules against the kernel's headers (seconds). The PWM is a PCA9685, which is content
with the register file of i2c-stub. All is kept under ~/.cache/ccs-pilot, once per kernel version.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

META_PACKAGE = "linux-image-rt-amd64"
TOOLS = ("qemu-system-x86", "busybox-static", "cpio", "kmod", "xz-utils", "make", "gcc")
FROM_SOURCE = (
    "drivers/gpio/gpio-sim.c",
    "drivers/gpio/gpiolib.h",
    "drivers/pwm/pwm-pca9685.c",
    "kernel/irq/irq_sim.c",
)
KBUILD = """\
obj-m := gpio-sim-oot.o pwm-pca9685.o
gpio-sim-oot-y := gpio-sim.o irq_sim.o
"""
BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "configfs")
"""Needed before the root is there; everything else is loaded from the kernel's folder, inside."""

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc p /proc
for m in $(/bin/busybox cat /m/order); do /bin/busybox insmod /m/$m; done
next=$(/bin/busybox sed -n 's/.*next=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 root /newroot
/bin/busybox umount /proc
exec /bin/busybox switch_root /newroot $next
"""


def say(line: str) -> None:
    """Print one line of progress at once."""
    sys.stdout.write(f"vm-test: {line}\n")
    sys.stdout.flush()


class UnavailableError(Exception):
    """The VM cannot be had here; the text says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel ready to boot."""

    version: str
    folder: Path

    @property
    def image(self) -> Path:
        """The compressed kernel."""
        return self.folder / "root" / "boot" / f"vmlinuz-{self.version}"

    @property
    def modules(self) -> Path:
        """Its modules, to be mounted as /lib/modules/VERSION."""
        return self.folder / "root" / "lib" / "modules" / self.version

    @property
    def built(self) -> Path:
        """Where the modules are that were built here."""
        return self.folder / "built"

    @property
    def initramfs(self) -> Path:
        """Busybox and the modules that the root needs."""
        return self.folder / "initramfs.gz"


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program; returns what it printed. Raises UnavailableError with its last words."""
    # Debian's ordinary users have no sbin in their PATH.
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, check=False, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise UnavailableError(f"{' '.join(command[:4])} ...: {words[-1]}")
    return done.stdout


def prepare(cache: Path) -> Kernel:
    """Return a kernel that can be booted; the first time this fetches some 210 MB."""
    _tools()
    version = _version()
    kernel = Kernel(version, cache / version)
    if (kernel.folder / "ready").exists():
        return kernel
    say(f"preparing Linux {version} (once; about half a minute)")
    shutil.rmtree(kernel.folder, ignore_errors=True)
    kernel.folder.mkdir(parents=True)
    _install(f"linux-headers-{version}")
    _unpack(kernel)
    _build_modules(kernel)
    _build_initramfs(kernel)
    (kernel.folder / "ready").touch()
    return kernel


def _tools() -> None:
    missing = [tool for tool in TOOLS if not _installed(tool)]
    if missing:
        _install(*missing)


def _installed(package: str) -> bool:
    if shutil.which("dpkg-query") is None:
        raise UnavailableError("an amd64 Debian is needed: its real-time kernel is what boots")
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.endswith(" installed")


def _install(*packages: str) -> None:
    if all(map(_installed, packages)):
        return
    if os.geteuid() != 0:
        raise UnavailableError(f"as root: apt install --no-install-recommends {' '.join(packages)}")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages)


def _version() -> str:
    for line in run("apt-cache", "depends", META_PACKAGE).splitlines():
        if "Depends: linux-image-" in line:
            return line.rpartition("linux-image-")[2].strip()
    raise UnavailableError(f"apt knows no {META_PACKAGE} (an amd64 Debian is needed; apt update?)")


def _fetch(package: str, folder: Path) -> Path:
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=folder)
    return next(folder.glob(f"{package}_*.deb"))


def _unpack(kernel: Kernel) -> None:
    image = _fetch(f"linux-image-{kernel.version}", kernel.folder)
    run("dpkg-deb", "-x", str(image), str(kernel.folder / "root"))
    image.unlink()
    run("depmod", "-b", str(kernel.folder / "root"), kernel.version)


def _build_modules(kernel: Kernel) -> None:
    folder = kernel.built
    folder.mkdir()
    series = ".".join(kernel.version.split(".")[:2])
    package = _fetch(f"linux-source-{series}", kernel.folder)
    _take_sources(package, folder)
    package.unlink()
    irq_sim = folder / "irq_sim.c"
    # irq_to_desc is not exported to modules; the public function does the same.
    text = irq_sim.read_text()
    irq_sim.write_text(
        text.replace("handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)")
    )
    (folder / "Kbuild").write_text(KBUILD)
    headers = f"/usr/src/linux-headers-{kernel.version}"
    run("make", "-s", "-C", headers, f"M={folder}", "modules")


def _take_sources(package: Path, folder: Path) -> None:
    """Read a few files out of a 140 MB package, without unpacking the rest."""
    wanted = set(FROM_SOURCE)
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=reader.stdout, mode="r|") as outer:
        for member in outer:
            if not member.name.endswith(".tar.xz"):
                continue
            unpacker = subprocess.Popen(
                ["xz", "-dc", "-T0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            packed = outer.extractfile(member)
            assert packed is not None
            _feed_and_pick(packed, unpacker, wanted, folder)
            break
    reader.kill()
    reader.wait()
    if wanted:
        raise UnavailableError(f"{package.name} has no {', '.join(sorted(wanted))}")


def _feed_and_pick(
    source: IO[bytes], unpacker: subprocess.Popen[bytes], wanted: set[str], folder: Path
) -> None:
    def feed() -> None:
        assert unpacker.stdin is not None
        with contextlib.suppress(OSError):  # all were found: nobody reads on
            shutil.copyfileobj(source, unpacker.stdin, 1 << 20)
            unpacker.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    with tarfile.open(fileobj=unpacker.stdout, mode="r|") as inner:
        for member in inner:
            name = member.name.partition("/")[2]
            if name in wanted:
                data = inner.extractfile(member)
                assert data is not None
                (folder / Path(name).name).write_bytes(data.read())
                wanted.discard(name)
                if not wanted:
                    break
    unpacker.kill()
    unpacker.wait()
    feeder.join()


def _build_initramfs(kernel: Kernel) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("bin", "dev", "proc", "sys", "newroot", "m"):
            (root / folder).mkdir()
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        order = _module_files(kernel)
        for path in order:
            shutil.copy(path, root / "m")
        (root / "m" / "order").write_text("\n".join(path.name for path in order) + "\n")
        names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
        archive = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"],
            cwd=root,
            input=names.encode(),
            check=True,
            capture_output=True,
        ).stdout
        kernel.initramfs.write_bytes(gzip.compress(archive, 1))


def _module_files(kernel: Kernel) -> list[Path]:
    """Return what has to be loaded before the root, in order, without repeats."""
    files: dict[Path, None] = {}
    for module in BOOT_MODULES:
        lines = run(
            "modprobe", "-d", str(kernel.folder / "root"), "-S", kernel.version,
            "--show-depends", module,
        )  # fmt: skip
        for line in lines.splitlines():
            if line.startswith("insmod "):
                files[Path(line.split()[1])] = None
    return list(files)
