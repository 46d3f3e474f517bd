"""Scenarios for paho-mqtt 1.6.1 and 2.x: `scenarios.py NAME PORT` ends with 0 when everything was as expected."""

import sys
import threading
import time

import paho.mqtt.client as mqtt

PATIENCE_S = 60


class Client:
    """A client on a thread of its own that keeps what it receives."""

    def __init__(self, port, client_id="", clean=True):
        self.messages = []
        self.codes = []
        self.sessions = []
        self.disconnects = 0
        self.subscribed = 0
        self.unsubscribed = 0
        self.changed = threading.Condition()
        arguments = {"client_id": client_id, "clean_session": clean}
        if hasattr(mqtt, "CallbackAPIVersion"):
            arguments["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
        self.mqtt = mqtt.Client(**arguments)
        self.mqtt.max_inflight_messages_set(100)
        self.mqtt.on_connect = lambda client, data, flags, code: self._connected(flags, code)
        self.mqtt.on_disconnect = lambda *arguments: self._count("disconnects")
        self.mqtt.on_subscribe = lambda *arguments: self._count("subscribed")
        self.mqtt.on_unsubscribe = lambda *arguments: self._count("unsubscribed")
        self.mqtt.on_message = lambda client, data, message: self._received(message)
        self.port = port

    def _connected(self, flags, code):
        with self.changed:
            self.codes.append(code)
            self.sessions.append(flags["session present"])
            self.changed.notify_all()

    def _count(self, name):
        with self.changed:
            setattr(self, name, getattr(self, name) + 1)
            self.changed.notify_all()

    def _received(self, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait(self, what, condition):
        """Waits until `condition()` holds."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), f"{what}; {len(self.messages)} messages"

    def start(self):
        """Connects and waits until it is accepted."""
        self.mqtt.connect("127.0.0.1", self.port, 60)
        self.mqtt.loop_start()
        self.wait("CONNACK", lambda: self.codes)
        assert self.codes == [0], self.codes
        return self

    def subscribe(self, topic, qos=0):
        """Subscribes and waits for the acknowledgement."""
        before = self.subscribed
        self.mqtt.subscribe(topic, qos)
        self.wait("SUBACK", lambda: self.subscribed > before)
        return self

    def expect(self, count):
        """Waits for `count` messages and gives their payloads as text."""
        self.wait(f"{count} messages", lambda: len(self.messages) >= count)
        return [message.payload.decode() for message in self.messages]

    def stop(self):
        """Takes its leave."""
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def publish(port, topic, payload, qos=1, retain=False):
    """Publishes one message and waits until it is acknowledged."""
    publisher = Client(port).start()
    publisher.mqtt.publish(topic, payload, qos, retain).wait_for_publish(PATIENCE_S)
    publisher.stop()


def keeps_order(port, qos, count):
    """Many messages arrive once each and in order."""
    subscriber = Client(port).start().subscribe("order", qos)
    publisher = Client(port).start()
    sent = [str(number) for number in range(count)]
    last = [publisher.mqtt.publish("order", payload, qos) for payload in sent][-1]
    last.wait_for_publish(PATIENCE_S)
    assert subscriber.expect(count) == sent
    assert {message.qos for message in subscriber.messages} == {qos}


def order_qos1(port):
    keeps_order(port, 1, 2000)


def order_qos2(port):
    keeps_order(port, 2, 1000)


def large_payload(port):
    """200 KB of every byte value come through unchanged, live and retained, with every QoS."""
    payload = bytes(range(256)) * 800
    for qos in (0, 1, 2):
        subscriber = Client(port).start().subscribe("large", qos)
        publish(port, "large", payload, qos, retain=True)
        subscriber.wait("the payload", lambda: subscriber.messages)
        assert subscriber.messages[0].payload == payload
        late = Client(port).start().subscribe("large", qos)
        late.wait("the retained payload", lambda: late.messages)
        assert late.messages[0].payload == payload and late.messages[0].retain
        publish(port, "large", b"", retain=True)


def takeover(port):
    """A second client with the same id ends the first one's connection; the session goes on."""
    older = Client(port, "same", clean=False).start().subscribe("takeover", 1)
    older.mqtt.reconnect_delay_set(min_delay=300, max_delay=300)
    newer = Client(port, "same", clean=False).start()
    older.wait("the older one is cut", lambda: older.disconnects == 1)
    assert newer.sessions == [1]
    publish(port, "takeover", "for the newer")
    assert newer.expect(1) == ["for the newer"]
    assert older.messages == []


def session_flags(port):
    """The session flag follows the standard's table."""
    flags = []
    for clean in (False, False, True, False, False, True, True):
        client = Client(port, "flags", clean).start()
        flags += client.sessions
        client.stop()
    assert flags == [0, 1, 0, 0, 1, 0, 0], flags


def unsubscribing(port):
    """After the acknowledgement nothing more comes from that filter, and the other goes on."""
    client = Client(port).start().subscribe("leave/#", 1).subscribe("stay", 1)
    publish(port, "leave/a", "seen")
    client.expect(1)
    client.mqtt.unsubscribe("leave/#")
    client.wait("UNSUBACK", lambda: client.unsubscribed == 1)
    publish(port, "leave/a", "not seen")
    publish(port, "stay", "end")
    assert client.expect(2) == ["seen", "end"]


def dollar_topics(port):
    """Topics that begin with a dollar reach who names them, and no wildcard."""
    every = Client(port).start().subscribe("#").subscribe("+/b")
    named = Client(port).start().subscribe("$a/b")
    publish(port, "$a/b", "named")
    assert named.expect(1) == ["named"]
    publish(port, "end", "end")
    every.wait("the end", lambda: every.messages and every.messages[-1].topic == "end")
    assert not [message.topic for message in every.messages if message.topic.startswith("$")]


def many_clients(port):
    """200 clients each get every message, and each is heard."""
    clients = [Client(port, f"many{number}").start().subscribe("to/all", 1) for number in range(200)]
    ear = Client(port).start().subscribe("from/+", 1)
    publish(port, "to/all", "hello")
    for number, client in enumerate(clients):
        assert client.expect(1) == ["hello"]
        client.mqtt.publish(f"from/{number}", str(number), 1)
    ear.expect(200)
    assert {message.topic for message in ear.messages} == {f"from/{number}" for number in range(200)}
    for client in clients:
        client.stop()


def reconnects(port):
    """paho's own reconnection after a cut finds the session and what was queued, each message once."""
    sleeper = Client(port, "sleeper", clean=False).start().subscribe("queue", 2)
    sleeper.mqtt.reconnect_delay_set(min_delay=1, max_delay=1)
    thief = Client(port, "sleeper", clean=False).start()
    thief.mqtt.reconnect_delay_set(min_delay=300, max_delay=300)
    sleeper.wait("the cut and the return", lambda: len(sleeper.codes) == 2)
    assert sleeper.sessions == [0, 1]
    for number in range(20):
        publish(port, "queue", str(number), 1 + number % 2)
    sleeper.wait("all of them", lambda: len(sleeper.messages) + len(thief.messages) >= 20)
    # paho hands a message of QoS 2 on at its release, so each QoS has an order of its own.
    received = [int(payload) for payload in sleeper.expect(20)]
    assert [number for number in received if number % 2 == 0] == list(range(0, 20, 2)), received
    assert [number for number in received if number % 2 == 1] == list(range(1, 20, 2)), received


if __name__ == "__main__":
    started = time.monotonic()
    globals()[sys.argv[1]](int(sys.argv[2]))
    print(f"{sys.argv[1]}: as expected, {time.monotonic() - started:.1f} s", flush=True)
