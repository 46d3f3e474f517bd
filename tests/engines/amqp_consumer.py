"""Takes messages over AMQP 0-9-1 from a durable queue bound to amq.topic, and prints each body as a line.

Arguments: queue, its type (classic or quorum), routing key, and the ports of loopback to try in turn. Comes back by
itself when its node goes; prints "ready" behind each declaration, "cut: ..." when a connection ends.
"""

import sys
import time

import pika

queue, queue_type, routing_key, *ports = sys.argv[1:]


def say(text):
    print(text, flush=True)


def on_message(channel, method, _properties, body):
    say("> " + body.decode())
    channel.basic_ack(method.delivery_tag)


def consume(port):
    parameters = pika.ConnectionParameters(
        "127.0.0.1", int(port), heartbeat=10, blocked_connection_timeout=20, socket_timeout=5, connection_attempts=1
    )
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=100)
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": queue_type})
        channel.queue_bind(queue, "amq.topic", routing_key)
        channel.basic_consume(queue, on_message)
        say("ready")
        channel.start_consuming()


while True:
    for port in ports:
        try:
            consume(port)
        except (pika.exceptions.AMQPError, OSError) as error:
            say(f"cut: {port} {error!r}")
            time.sleep(0.2)
