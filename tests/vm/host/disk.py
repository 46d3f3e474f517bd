"""A disk with a volatile write cache, for QEMU over NBD.

A write is acknowledged when it is in the cache. A flush makes everything durable that was written before it, and only a
flush does. When the power is cut, every sector of the cache that was not flushed is, one by one and by chance, as it
was before, as it was written last, or as it was written at any time in between: a disk may write in any order, and
loses nothing smaller than a sector of 512 bytes.

Not modelled: sectors that are torn or unreadable afterwards, and disks that lie about a flush.
"""

from __future__ import annotations

import random
import socket
import struct
import tempfile
import threading
from pathlib import Path

SECTOR_BYTES = 512

# Fixed newstyle negotiation and simple replies of the NBD protocol (doc/proto.md of nbd).
NBD_MAGIC, OPTION_MAGIC, OPTION_REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x0003_E889_0455_65A9
REQUEST_MAGIC, REPLY_MAGIC = 0x2560_9513, 0x6744_6698
HANDSHAKE_FLAGS = 0b11
OPTION_GO, REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 7, 1, 3, 0x8000_0001
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
# There are flags, and flush is one of them.
EXPORT_FLAGS = 0b101
EINVAL = 22


class VolatileDisk:
    """Serves `image` at `socket_path` until the power is cut; then `image` is what the disk kept."""

    def __init__(self, image: Path, seed: int) -> None:
        self._image = image.open("r+b")
        self._bytes = image.stat().st_size
        self._random = random.Random(seed)
        # What was written to a sector since the last flush, the newest last.
        self._cache: dict[int, list[bytes]] = {}
        self.flushes = 0
        # The request at which it stops answering, once the power is about to be cut.
        self._last_request: int | None = None
        self._stopped = threading.Event()
        self._directory = tempfile.TemporaryDirectory(prefix="sensegate-disk-")
        self.socket_path = Path(self._directory.name, "nbd")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket_path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop_at(self, request: int) -> None:
        """Never answers the next request of this kind, WRITE or FLUSH, nor any after it: the worst moment for a cut.
        Returns when that has come, or after two seconds without one."""
        self._last_request = request
        self._stopped.wait(2)

    def cut_power(self) -> tuple[int, int]:
        """Loses what chance says, once QEMU is dead. Returns how many sectors were not flushed, and how many of these
        are not as they were written last."""
        self._listener.close()
        self._thread.join(10)
        lost = 0
        for sector, versions in self._cache.items():
            kept = self._random.randint(0, len(versions))
            lost += kept < len(versions)
            if kept:
                self._store(sector, versions[kept - 1])
        waiting = len(self._cache)
        self._image.close()
        self._directory.cleanup()
        return waiting, lost

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as stream:
                self._connection = stream
                if self._negotiate():
                    while self._transmit():
                        stream.flush()
        except (OSError, EOFError):
            # QEMU was killed.
            pass

    def _take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._take_bytes(struct.calcsize(layout)))

    def _take_bytes(self, count: int) -> bytes:
        data = self._connection.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def _negotiate(self) -> bool:
        """Refuses every option but the one that goes on to transmission."""
        self._connection.write(NBD_MAGIC + OPTION_MAGIC + struct.pack(">H", HANDSHAKE_FLAGS))
        self._connection.flush()
        self._take(">I")
        while True:
            self._take_bytes(len(OPTION_MAGIC))
            option, length = self._take(">II")
            self._take_bytes(length)
            if option == OPTION_GO:
                self._reply_option(option, REPLY_INFO, struct.pack(">HQH", 0, self._bytes, EXPORT_FLAGS))
                self._reply_option(option, REPLY_ACK)
                return True
            self._reply_option(option, REPLY_UNSUPPORTED)

    def _reply_option(self, option: int, kind: int, data: bytes = b"") -> None:
        self._connection.write(struct.pack(">QIII", OPTION_REPLY_MAGIC, option, kind, len(data)) + data)
        self._connection.flush()

    def _transmit(self) -> bool:
        _, _, command, handle, offset, length = self._take(">IHHQQI")
        answer, error = b"", 0
        if command == self._last_request == FLUSH:
            return self._stop()
        if command == READ:
            answer = b"".join(self._load(sector) for sector in sectors(offset, length))
        elif command == WRITE:
            data = self._take_bytes(length)
            for index, sector in enumerate(sectors(offset, length)):
                part = data[index * SECTOR_BYTES : (index + 1) * SECTOR_BYTES]
                self._cache.setdefault(sector, []).append(part)
            if self._last_request == WRITE:
                return self._stop()
        elif command == FLUSH:
            self._flush()
        elif command == DISCONNECT:
            return False
        else:
            error = EINVAL
        self._connection.write(struct.pack(">IIQ", REPLY_MAGIC, error, handle) + answer)
        return True

    def _stop(self) -> bool:
        """Takes nothing more, until QEMU is killed."""
        self._stopped.set()
        while self._connection.read(1 << 16):
            pass
        return False

    def _flush(self) -> None:
        for sector, versions in self._cache.items():
            self._store(sector, versions[-1])
        self._cache.clear()
        self.flushes += 1

    def _load(self, sector: int) -> bytes:
        if versions := self._cache.get(sector):
            return versions[-1]
        self._image.seek(sector * SECTOR_BYTES)
        return self._image.read(SECTOR_BYTES)

    def _store(self, sector: int, data: bytes) -> None:
        self._image.seek(sector * SECTOR_BYTES)
        self._image.write(data)


def sectors(offset: int, length: int) -> range:
    """The sectors of a request; QEMU asks for whole ones."""
    return range(offset // SECTOR_BYTES, (offset + length) // SECTOR_BYTES)
