"""Clients on the host, with paho-mqtt 1 or 2, as users have them."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as mqtt

from .report import Failed, expect

State = dict[str, Any]


def new_client(client_id: str, *, clean: bool = True) -> mqtt.Client:
    """A client for both families of paho, with the callbacks of the first."""
    version = getattr(mqtt, "CallbackAPIVersion", None)
    words: dict[str, Any] = {"callback_api_version": version.VERSION1} if version else {}
    return mqtt.Client(client_id=client_id, clean_session=clean, **words)


def connect(client: mqtt.Client, port: int, seconds: float = 30.0) -> bool:
    """Connects when somebody serves behind `port`: QEMU's forwarding accepts and closes until then. Returns whether
    there was a session."""
    answers: list[tuple[bool, int]] = []
    client.on_connect = lambda _client, _data, flags, code: answers.append((bool(flags["session present"]), code))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            client.connect("127.0.0.1", port, keepalive=20)
        except OSError:
            time.sleep(0.1)
            continue
        # Without a thread of paho's, which would wait for a second before it tries again.
        while client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS and time.monotonic() < deadline:
            if answers:
                session_present, code = answers[0]
                expect(code == 0, f"the gateway refuses the connection with code {code}")
                return session_present
        time.sleep(0.1)
    raise Failed(f"nobody serves MQTT within {seconds:.0f} s")


class Listener:
    """A client that keeps the last payload of every topic, and what came on the stick's."""

    STICK = "myRasp/stick"

    def __init__(self, port: int) -> None:
        self._changed = threading.Condition()
        self._last: dict[str, bytes] = {}
        self._pushed: deque[tuple[State, bool]] = deque(maxlen=100)
        self.lost = 0
        self._client = new_client("listener")
        self._client.on_message = self._hear
        connect(self._client, port)
        self._client.on_disconnect = self._count_loss
        self._client.subscribe("#", 1)
        self._client.loop_start()

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self._last[message.topic] = bytes(message.payload)
            if message.topic == self.STICK:
                self._pushed.append((json.loads(message.payload), message.retain))
            self._changed.notify_all()

    def _count_loss(self, *_: object) -> None:
        self.lost += 1

    def text(self, topic: str) -> str | None:
        """The last payload of a topic."""
        with self._changed:
            payload = self._last.get(topic)
        return None if payload is None else payload.decode()

    def state(self) -> State:
        """The gateway's last state, empty before the first."""
        text = self.text("myRasp/state")
        return json.loads(text) if text else {}

    def wait_for_state(self, what: str, is_so: Callable[[State], bool], seconds: float = 30.0) -> State:
        """Waits for a state of which `is_so` holds, and returns it."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                payload = self._last.get("myRasp/state")
                state: State = json.loads(payload) if payload else {}
                if state and is_so(state):
                    return state
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise Failed(f"waited {seconds:.0f} s in vain until {what}; the last state: {state}")

    def wait_for_stick(self, direction: str, action: str, seconds: float = 30.0) -> State:
        """Waits for the stick's next event, which has to be this one, and returns it."""
        with self._changed:
            self._changed.wait_for(lambda: self._pushed, seconds)
            expect(bool(self._pushed), f"waited {seconds:.0f} s in vain for {direction} {action} of the stick")
            event, is_retained = self._pushed.popleft()
        told = (event["direction"], event["action"], is_retained)
        expect(told == (direction, action, False), f"the stick tells {event}, retained: {is_retained}")
        return event

    def close(self) -> None:
        """Says goodbye."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()
