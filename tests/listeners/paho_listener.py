"""`paho_listener.py TRANSPORT PORT [CA]` sends itself messages; ends with 0 when they came as expected."""

import queue
import sys

import paho.mqtt.client as mqtt

PATIENCE_S = 60
COUNT = 500

transport, port = sys.argv[1], int(sys.argv[2])
events = queue.Queue()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho", transport=transport)
client.on_connect = lambda client, data, flags, code, properties: events.put(str(code))
client.on_subscribe = lambda client, data, mid, codes, properties: events.put("subscribed")
client.on_message = lambda client, data, message: events.put((message.qos, message.payload))
client.max_inflight_messages_set(20)
if transport == "websockets":
    client.ws_set_options(path="/any/path")
if len(sys.argv) > 3:
    client.tls_set(ca_certs=sys.argv[3])


def expect(expected):
    event = events.get(timeout=PATIENCE_S)
    assert event == expected, f"{str(event)[:100]} instead of {str(expected)[:100]}"


client.connect("localhost" if len(sys.argv) > 3 else "127.0.0.1", port, 60)
client.loop_start()
expect("Success")
client.subscribe("echo", qos=2)
expect("subscribed")
large = bytes(range(256)) * 1000
for qos in (0, 1, 2):
    client.publish("echo", large, qos=qos)
    expect((qos, large))
for number in range(COUNT):
    client.publish("echo", str(number), qos=1)
for number in range(COUNT):
    expect((1, str(number).encode()))
client.disconnect()
client.loop_stop()
print("as expected", flush=True)
