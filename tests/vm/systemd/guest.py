"""A whole Debian system under systemd: QEMU with a root disk and a second one, on which the host's files come in."""

from __future__ import annotations

import base64
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from host.machine import Architecture, Machine
from host.report import Failed, expect

# An emulated processor that shares its real one with others takes its time.
BOOT_SECONDS = 300.0
MEMORY_MB = 512


@dataclass(frozen=True)
class System:
    """What a machine starts from: the image's directory, its root disk, and the host's files."""

    image: Path
    root: Path
    media: Path


class Guest(Machine):
    """A machine that runs as long as the block does. With `disk`, the socket of a disk with a volatile cache, that one
    is its root."""

    def __init__(self, system: System, disk: Path | None = None) -> None:
        self._system = system
        words = "systemd.show_status=no"
        super().__init__("amd64", system.image / "kernel", system.image / "initramfs", append=words, disk=disk)

    def _command(self, arch: Architecture, kernel: Path, initramfs: Path, append: str, disk: Path | None) -> list[str]:
        command = super()._command(arch, kernel, initramfs, append, disk)
        if not disk:
            command += drive("root", self._system.root)
        command += drive("media", self._system.media, "on")
        return [*command, "-m", str(MEMORY_MB)]

    def wait_until_up(self) -> None:
        """Waits until everything has started."""
        self._answer(BOOT_SECONDS)

    def put(self, path: str, text: str) -> None:
        """Writes a file."""
        data = base64.b64encode(text.encode()).decode()
        self.must(f"echo {data} | base64 -d >{shlex.quote(path)}")

    def property(self, name: str) -> str:
        """What systemd knows of the gateway's unit."""
        return self.must(f"property {name}").strip()

    def wait_for(self, what: str, seconds: float = 60.0) -> None:
        """Waits until a command is well."""
        self.must(f"wait_for {seconds:.0f} {what}", seconds + 30)

    def now(self) -> str:
        """Now, as journalctl takes it."""
        return self.must("date +@%s.%6N").strip()

    def lines_since(self, moment: str, *options: str) -> str:
        """The journal's lines of the gateway's unit since a moment, as `options` of journalctl say."""
        return self.must(f"journal_since {shlex.quote(moment)} {shlex.join(options)}")

    def wait_for_line(self, moment: str, words: str, *options: str, seconds: float = 30.0) -> str:
        """Waits for a line of the unit since a moment, and returns the lines until then."""
        deadline = time.monotonic() + seconds
        while words not in (lines := self.lines_since(moment, *options)):
            if time.monotonic() > deadline:
                raise Failed(f"the journal does not say `{words}` within {seconds:.0f} s:\n{lines}")
            time.sleep(0.3)
        return lines

    def entries_since(self, moment: str) -> list[dict[str, str]]:
        """The same with all fields."""
        return [json.loads(line) for line in self.lines_since(moment, "-o", "json").splitlines()]

    def expect_property(self, name: str, value: str) -> None:
        """Ends the check when systemd knows something else of the unit."""
        actual = self.property(name)
        expect(actual == value, f"{name} of the unit is `{actual}`, expected `{value}`")

    def expect_output(self, command: str, expected: str) -> None:
        """Ends the check when a command prints something else."""
        actual = self.must(command).strip()
        expect(actual == expected, f"`{command}` prints `{actual}`, expected `{expected}`")


def drive(name: str, image: Path, read_only: str = "off") -> list[str]:
    """A disk in a plain file. Its cache is QEMU's default: the guest sees a write cache, and what it flushes reaches the
    file."""
    node = f"driver=raw,node-name={name},read-only={read_only},file.driver=file,file.filename={image}"
    return ["-blockdev", node, "-device", f"virtio-blk-pci,drive={name}"]
