"""Power cuts: what the gateway acknowledged is there after each.

A machine keeps the gateway's state on an ext4 file system, on a disk with a volatile write cache. A client publishes
numbered messages with QoS 1, each also as a retained message of one of a few topics, while a subscriber with a
persistent session is away. In the middle of it the disk stops answering, at a write or at a flush; QEMU is killed,
which stops the guest with all that its kernel had not written; and the disk loses by chance what was not flushed. The
next machine starts from what is left.

That these cuts cost something is checked too: with storage.sync = "off" they do.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from paho.mqtt import client as mqtt

from host.client import connect, new_client
from host.disk import FLUSH, WRITE, VolatileDisk
from host.machine import Machine
from host.report import Failed, Report, expect

DISK_BYTES = 64 << 20
QUEUED, RETAINED, END = "numbers/queued", "numbers/retained", "numbers/end"
RETAINED_TOPICS = 7
SUBSCRIBER, PUBLISHER = "subscriber-that-is-away", "publisher"
# Publishing goes on for so long, by chance, after the first acknowledgement.
WRITING_SECONDS = (0.5, 2.0)
# Messages on their way at one time, as paho has it by default.
INFLIGHT = 20
# Cuts without flushes until one has cost something; the first one does, but for bad luck.
CUTS_THAT_HURT_MAX = 3


class Lost(Failed):
    """Something that was acknowledged is not there."""


@dataclass
class Ledger:
    """What was sent and what was acknowledged, over all boots."""

    next_number: int = 0
    # Acknowledged and not yet seen by the subscriber.
    owed: set[int] = field(default_factory=set)
    # For each retained topic: the number acknowledged last, and the greatest sent.
    retained: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0


def run(arch: str, system: Path, report: Report) -> None:
    """Cuts the power as often as asked for, in one check, and a few times more where it must hurt."""
    cuts = int(os.environ.get("SENSEGATE_VM_CUTS", "20"))
    seed = int(os.environ.get("SENSEGATE_VM_SEED", str(time.time_ns() % 1_000_000)))
    promise = f"after {cuts} power cuts in mid-write, everything acknowledged is there (seed {seed})"
    with report.check(promise), Rounds(arch, system, seed, sync="always") as rounds:
        for number in range(cuts):
            rounds.round(number)
        rounds.round(cuts, cut=False)
        print(f"       {rounds.summary()}", flush=True)
    control = 'with storage.sync = "off", such cuts cost acknowledged messages'
    with report.check(control), Rounds(arch, system, seed, sync="off") as rounds:
        expect(rounds.lose_something(), f"{CUTS_THAT_HURT_MAX} cuts cost nothing: the disk keeps what it should lose")


def make_file_system(image: Path) -> None:
    image.touch()
    os.truncate(image, DISK_BYTES)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", str(image)], check=True)


def expect_kept(is_so: bool, what: str) -> None:
    if not is_so:
        raise Lost(what)


class Rounds:
    """One boot after the other from one disk."""

    def __init__(self, arch: str, system: Path, seed: int, *, sync: str) -> None:
        self._arch, self._system, self._seed, self._sync = arch, system, seed, sync
        self._directory = tempfile.TemporaryDirectory(prefix="sensegate-state-")
        self._image = Path(self._directory.name, "disk")
        make_file_system(self._image)
        self._random = random.Random(seed)
        self._ledger = Ledger()
        self._lost_sectors = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def lose_something(self) -> bool:
        """Whether a cut costs something that was acknowledged."""
        try:
            for number in range(CUTS_THAT_HURT_MAX + 1):
                self.round(number)
        except Lost:
            return True
        return False

    def summary(self) -> str:
        """What there was to lose."""
        return (
            f"{self._ledger.acknowledged} messages acknowledged before a cut, "
            f"{self._lost_sectors} unflushed sectors lost"
        )

    def round(self, number: int, *, cut: bool = True) -> None:
        """Boots, checks what the cuts before left, and publishes until the next one."""
        disk = VolatileDisk(self._image, self._seed + number)
        kernel, initramfs = self._system / "kernel", self._system / "initramfs"
        with Machine(self._arch, kernel, initramfs, disk=disk.socket_path) as machine:
            try:
                self._boot(machine)
                self._check_kept(machine.mqtt_port, is_first=number == 0)
                if cut:
                    self._publish_until_cut(machine, disk)
            except Exception as error:
                if self._sync == "always" or not isinstance(error, Lost):
                    print(f"--- boot {number}, console of the guest\n{machine.console()}\n---", file=sys.stderr)
                raise
        _, lost = disk.cut_power()
        self._lost_sectors += lost
        expect(disk.flushes > 0, "the guest never flushed its disk: it does not know of the cache")

    def _boot(self, machine: Machine) -> None:
        machine.wait_until_up()
        machine.must("load disk && mount -t ext4 /dev/vda /state")
        # Readings without a HAT: more that is written beside the messages.
        machine.must(f"SENSEGATE__SENSORS__SOURCE=simulated SENSEGATE__STORAGE__SYNC={self._sync} start_gateway")

    def _check_kept(self, port: int, *, is_first: bool) -> None:
        """Lets the subscriber fetch everything, and compares it with what was acknowledged."""
        fetched = Subscriber(port).fetch()
        missing = sorted(self._ledger.owed - fetched.numbers)
        expect_kept(not missing, f"acknowledged and gone: {len(missing)} messages, {missing[:10]} …")
        expect_kept(fetched.session_present != is_first, "the session is gone")
        for topic, least in self._ledger.retained.items():
            kept, most = fetched.retained.get(topic), self._ledger.sent[topic]
            is_so = kept is not None and least <= kept <= most
            expect_kept(is_so, f"{topic} is {kept}, expected {least} to {most}")
        self._ledger.owed.clear()

    def _publish_until_cut(self, machine: Machine, disk: VolatileDisk) -> None:
        publisher = Publisher(machine.mqtt_port, self._ledger)
        publisher.wait_for_first_acknowledgement()
        time.sleep(self._random.uniform(*WRITING_SECONDS))
        disk.stop_at(self._random.choice((WRITE, FLUSH)))
        machine.cut()
        publisher.stop()


class Publisher:
    """Publishes numbers as fast as they are acknowledged, on a thread of its own."""

    def __init__(self, port: int, ledger: Ledger) -> None:
        self._ledger = ledger
        self._acknowledged = threading.Event()
        self._stopping = False
        self._on_their_way: dict[int, tuple[str, int]] = {}
        self._client = new_client(PUBLISHER)
        self._client.on_publish = self._take_acknowledgement
        connect(self._client, port)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            while len(self._on_their_way) < INFLIGHT:
                self._publish()
            if self._client.loop(0.01) != mqtt.MQTT_ERR_SUCCESS:
                return

    def _publish(self) -> None:
        number = self._ledger.next_number
        self._ledger.next_number += 1
        retained = f"{RETAINED}/{number % RETAINED_TOPICS}"
        topic = retained if number % 3 == 0 else QUEUED
        self._ledger.sent[topic] = number
        sent = self._client.publish(topic, str(number), qos=1, retain=topic == retained)
        self._on_their_way[sent.mid] = (topic, number)

    def _take_acknowledgement(self, _client: mqtt.Client, _data: object, mid: int) -> None:
        topic, number = self._on_their_way.pop(mid)
        self._ledger.owed.add(number)
        self._ledger.acknowledged += 1
        if topic != QUEUED:
            self._ledger.retained[topic] = max(number, self._ledger.retained.get(topic, -1))
        self._acknowledged.set()

    def wait_for_first_acknowledgement(self) -> None:
        """Waits until the gateway has made something durable in this boot."""
        if not self._acknowledged.wait(30):
            raise Failed("nothing is acknowledged within 30 s")

    def stop(self) -> None:
        """Ends it, after the cut: what was acknowledged meanwhile counts."""
        self._stopping = True
        self._thread.join()


@dataclass
class Fetched:
    """What a subscriber got."""

    session_present: bool = False
    numbers: set[int] = field(default_factory=set)
    retained: dict[str, int] = field(default_factory=dict)


class Subscriber:
    """The client whose session waits: it fetches everything up to a message of its own, and leaves."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._fetched = Fetched()
        # One of an earlier boot may come again.
        self._end = f"end {time.monotonic_ns()}"
        self._is_done = False

    def fetch(self) -> Fetched:
        """Everything that was queued, and the retained messages."""
        self._fetch_queued()
        self._fetch_retained()
        return self._fetched

    def _fetch_queued(self) -> None:
        client = new_client(SUBSCRIBER, clean=False)
        client.on_message = self._take_queued
        self._fetched.session_present = connect(client, self._port)
        if not self._fetched.session_present:
            client.subscribe("numbers/#", 1)
        client.publish(END, self._end, qos=1)
        self._loop_until_done(client)
        client.disconnect()

    def _take_queued(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == END:
            self._is_done |= message.payload.decode() == self._end
        else:
            self._fetched.numbers.add(int(message.payload))

    def _fetch_retained(self) -> None:
        client = new_client("reader")
        client.on_message = self._take_retained
        connect(client, self._port)
        client.subscribe([(f"{RETAINED}/#", 1), (END, 1)])
        self._end += " of retained messages"
        self._is_done = False
        client.publish(END, self._end, qos=1)
        self._loop_until_done(client)
        client.disconnect()

    def _take_retained(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == END:
            self._is_done |= message.payload.decode() == self._end
        else:
            self._fetched.retained[message.topic] = int(message.payload)

    def _loop_until_done(self, client: mqtt.Client) -> None:
        deadline = time.monotonic() + 60
        while not self._is_done:
            expect(client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS, "the gateway ended the connection")
            expect(time.monotonic() < deadline, "what was queued does not come within 60 s")
        client.loop(0.1)
