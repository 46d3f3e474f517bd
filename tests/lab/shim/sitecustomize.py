"""Leads connections to the standard MQTT port to the one in LAB_PORT.

Python loads this file at its start when its directory is on the path. It lets the lab's scripts run as they are
printed where a private network, in which port 1883 is free, is not permitted.
"""

import os
import socket

_create_connection = socket.create_connection


def _create_lab_connection(address, *arguments, **named):
    host, port = address[:2]
    return _create_connection((host, int(os.environ["LAB_PORT"]) if port == 1883 else port), *arguments, **named)


socket.create_connection = _create_lab_connection
