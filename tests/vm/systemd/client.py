"""Clients on the host that log in, and what a persistent session keeps for one that is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as mqtt

from host.client import connect, new_client
from host.report import Failed, expect

USER, PASSWORD = "host", "a password of the host"
WAIT_SECONDS = 60.0


class Client:
    """A client that keeps the payloads of every topic."""

    def __init__(
        self, port: int, name: str, *, clean: bool = True, user: str = USER, password: str = PASSWORD
    ) -> None:
        self._changed = threading.Condition()
        self.heard: dict[str, list[str]] = {}
        self.lost = 0
        self._client = new_client(name, clean=clean)
        self._client.username_pw_set(user, password)
        self._client.on_message = self._hear
        self.had_session = connect(self._client, port, WAIT_SECONDS)
        self._client.on_disconnect = self._count_loss
        self._client.loop_start()

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.heard.setdefault(message.topic, []).append(message.payload.decode())
            self._changed.notify_all()

    def _count_loss(self, *_: object) -> None:
        self.lost += 1

    def subscribe(self, pattern: str) -> None:
        """Asks for topics, and waits until the gateway has said yes."""
        answered = threading.Event()
        self._client.on_subscribe = lambda *_: answered.set()
        self._client.subscribe(pattern, 1)
        expect(answered.wait(WAIT_SECONDS), f"the subscription to {pattern} is not acknowledged")

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publishes with QoS 1, and waits for the acknowledgement."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        sent.wait_for_publish(WAIT_SECONDS)
        expect(sent.is_published(), f"{payload} to {topic} is not acknowledged")

    def wait_for(self, what: str, is_so: Callable[[dict[str, list[str]]], bool], seconds: float = WAIT_SECONDS) -> None:
        """Waits until `is_so` holds of what was heard."""
        with self._changed:
            if not self._changed.wait_for(lambda: is_so(self.heard), seconds):
                raise Failed(f"waited {seconds:.0f} s in vain until {what}; heard: {self._last_words()}")

    def wait_for_state(self, what: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits for a state of the gateway of which `is_so` holds, and returns it."""

        def state() -> dict[str, Any]:
            return json.loads(self.heard["myRasp/state"][-1]) if "myRasp/state" in self.heard else {}

        self.wait_for(what, lambda _: bool(state()) and is_so(state()))
        return state()

    def _last_words(self) -> dict[str, str]:
        return {topic: payloads[-1][:300] for topic, payloads in self.heard.items()}

    def close(self) -> None:
        """Says goodbye."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Mailbox:
    """A persistent session whose client is away, and what has to be waiting in it."""

    def __init__(self, port: int, name: str) -> None:
        self._port, self._name, self._topic = port, name, f"mailbox/{name}"
        self._owed: list[str] = []
        with Client(port, name, clean=False) as client:
            client.subscribe(self._topic)

    def fill(self, count: int) -> None:
        """Publishes numbers to it, each acknowledged."""
        with Client(self._port, f"{self._name}-sender") as sender:
            for _ in range(count):
                number = f"{self._name} {time.monotonic_ns()}"
                sender.publish(self._topic, number)
                self._owed.append(number)

    def check(self) -> None:
        """Comes back for everything, in order and once."""
        with Client(self._port, self._name, clean=False) as client:
            expect(client.had_session, "the session is gone")
            client.wait_for("all that waits has come", lambda heard: len(heard.get(self._topic, [])) >= len(self._owed))
            expect(client.heard[self._topic] == self._owed, f"came {client.heard}, acknowledged were {self._owed}")
        self._owed.clear()
