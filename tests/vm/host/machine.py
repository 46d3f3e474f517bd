"""A virtual machine: QEMU, the guest's console in a file, and a port on which the guest obeys commands.

The guest answers each line that it is sent with its output, every line behind "| ", and "= STATUS". When it is up it
says "= 0" by itself.
"""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .report import Failed

BOOT_SECONDS = 90.0
COMMAND_SECONDS = 60.0
CONSOLE_LINES_SHOWN = 60
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Architecture:
    """How QEMU emulates it, and what its devices are called."""

    qemu: tuple[str, ...]
    console: str
    transport: str


ARCHITECTURES = {
    "arm64": Architecture(("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72"), "ttyAMA0", "device"),
    "armhf": Architecture(("qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15"), "ttyAMA0", "device"),
    "amd64": Architecture(("qemu-system-x86_64", "-M", "q35", "-cpu", "max"), "ttyS0", "pci"),
}


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its status."""

    output: str
    status: int


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """A machine that runs as long as the block does. Its port 1883 is `mqtt_port` on the host's loopback."""

    def __init__(self, arch: str, kernel: Path, initramfs: Path, *, append: str = "", disk: Path | None = None) -> None:
        self.mqtt_port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="sensegate-vm-")
        self._console = Path(self._directory.name, "console")
        self._control_path = Path(self._directory.name, "control")
        command = self._command(ARCHITECTURES[arch], kernel, initramfs, append, disk)
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            self._control = self._connect()
        except BaseException:
            self.cut()
            raise
        self._answers = self._control.makefile("r", encoding="utf-8", errors="replace")

    def _command(self, arch: Architecture, kernel: Path, initramfs: Path, append: str, disk: Path | None) -> list[str]:
        kind = arch.transport
        words = f"console={arch.console} quiet panic=-1 vm.time={int(time.time())} {append}"
        command = [
            *arch.qemu,
            *("-accel", "tcg,thread=multi", "-smp", "2", "-m", "384"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", str(kernel), "-initrd", str(initramfs), "-append", words),
            *("-serial", f"file:{self._console}"),
            *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.mqtt_port}-10.0.2.15:1883"),
            *("-device", f"virtio-net-{kind},netdev=net,romfile=" if kind == "pci" else "virtio-net-device,netdev=net"),
            *("-chardev", f"socket,id=control,path={self._control_path},server=on,wait=off"),
            *("-device", f"virtio-serial-{kind}", "-device", "virtserialport,chardev=control,name=control"),
        ]
        if disk:
            command += ["-blockdev", f"driver=nbd,node-name=disk,server.type=unix,server.path={disk}"]
            command += ["-device", f"virtio-blk-{kind},drive=disk"]
        return command

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                connection.connect(str(self._control_path))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                if self._process.poll() is not None:
                    raise Failed(f"QEMU ended with status {self._process.returncode}") from None
                time.sleep(0.05)
        raise Failed("QEMU does not listen on its control port")

    def wait_until_up(self) -> None:
        """Waits until the guest obeys."""
        self._answer(BOOT_SECONDS)

    def run(self, command: str, seconds: float = COMMAND_SECONDS) -> Outcome:
        """Runs a command line in the guest."""
        self._control.sendall(f"{command}\n".encode())
        return self._answer(seconds)

    def must(self, command: str, seconds: float = COMMAND_SECONDS) -> str:
        """Runs a command line in the guest that must end well, and returns its output."""
        outcome = self.run(command, seconds)
        if outcome.status != 0:
            raise Failed(f"`{command}` ended with status {outcome.status}:\n{outcome.output}")
        return outcome.output

    def _answer(self, seconds: float) -> Outcome:
        self._control.settimeout(seconds)
        lines: list[str] = []
        try:
            for line in self._answers:
                if line.startswith("= "):
                    return Outcome("".join(lines), int(line[2:]))
                lines.append(line.removeprefix("| "))
        except TimeoutError:
            raise Failed(f"the guest does not answer within {seconds:.0f} s") from None
        raise Failed("the machine has ended")

    def console(self) -> str:
        """The last lines of the guest's console."""
        text = self._console.read_text(encoding="utf-8", errors="replace") if self._console.exists() else ""
        return "\n".join(COLOUR.sub("", text).splitlines()[-CONSOLE_LINES_SHOWN:])

    def cut(self) -> None:
        """Stops the machine dead, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cut()
        self._answers.close()
        self._control.close()
        self._directory.cleanup()
