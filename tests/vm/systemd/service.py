"""The service: the HAT, clients here and there, its journal, a reload, its sandbox, its secrets."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from host.report import Report, expect
from mini import registers
from systemd.client import PASSWORD, USER, Client
from systemd.guest import Guest
from systemd.package import edit

HAT = Path(__file__).parent.parent / "mini" / "hat.toml"
HEALTHY_SECONDS = 60.0
SETUP_SECONDS = 180.0
EXPOSURE_MAX = 15
TOKEN = "BBUS-a-token-for-nobody"
CREDENTIALS = "tr '\\0' '\\n' </proc/$(property MainPID)/environ | sed -n 's/^CREDENTIALS_DIRECTORY=//p'"


class Service:
    """The gateway as systemd runs it."""

    def __init__(self, guest: Guest, report: Report) -> None:
        self._guest, self._report = guest, report
        self._pressure = f"{registers.values(registers.load(HAT))['pressure']:.2f}"
        self._healthy_since = self._healthy_moment = None

    def find_the_hat(self) -> None:
        """The gateway runs already, and there has been no bus yet."""
        check = self._report.check
        with check("without a HAT it serves, and says why there is nothing"):
            state = self._guest.must("sensegate sub -t myRasp/state -C 1 -W 30")
            expect("no_bus" in state, f"the state is {state}")
        with check("a bus that appears while it runs is found: the sandbox lets its user in"):
            self._guest.must("start_hat")
            self._guest.wait_for("test -c /dev/i2c-1", 20)
            self._guest.expect_output("stat -c '%a %U:%G' /dev/i2c-1", "660 root:i2c")
            self._guest.expect_output("cat /sys/bus/i2c/devices/i2c-1/name | cut -d' ' -f1", "i2c-tiny-usb")
            self._guest.must("wait_for 40 is_well", 80)
        with check("readings arrive at a client in the guest, equal to the registers"):
            self._guest.expect_output("sensegate sub -t myRasp/sensors/pression -C 1 -W 30", self._pressure)
        with check("doctor, run by root beside it, is content"):
            self._guest.must("sensegate doctor")

    def let_others_in(self) -> None:
        """A listener for the network and a user, as `sensegate setup` makes them; then a user of the checks' own."""
        with self._report.check("setup lets other machines in: its line's password brings readings to a client on the host"):
            said = self._guest.must("sensegate setup --yes", SETUP_SECONDS)
            line = re.search(r"mosquitto_sub -h \S+ -u (\S+) -P (\S+) ", said)
            expect(line is not None, f"setup tells no line for other machines:\n{said}")
            assert line
            with Client(self._guest.mqtt_port, "laptop", user=line[1], password=line[2]) as client:
                client.subscribe("myRasp/#")
                self._wait_for_pressure(client)
        with self._report.check("what setup wrote belongs to whom it should, and the service's user reads it"):
            for path in ("/etc/sensegate/passwords", "/etc/sensegate/acl"):
                self._guest.expect_output(f"stat -c '%a %U:%G' {path}", "640 root:sensegate")
            self._guest.must(f"sensegate passwd -b /etc/sensegate/passwords {USER} '{PASSWORD}'")
            self._guest.must(f"printf 'user {USER}\\ntopic readwrite #\\n' >>/etc/sensegate/acl")
            moment = self._guest.now()
            self._guest.must("systemctl reload sensegate")
            # systemd 252 does not wait until the gateway has said that it is done
            self._guest.wait_for_line(moment, "passwords and rights were read again")
            with Client(self._guest.mqtt_port, "own") as client:
                client.subscribe("#")
                self._wait_for_pressure(client)

    def _wait_for_pressure(self, client: Client) -> None:
        topic = "myRasp/sensors/pression"
        client.wait_for("the pressure comes", lambda heard: heard.get(topic, [""])[-1] == self._pressure)

    def serve(self) -> None:
        """With everything there, from the upgrade on: nothing to warn of."""
        check = self._report.check
        with check("healthy after a restart: readings of the HAT"):
            self._begin_to_be_healthy()
        with check("the matrix shows what it is told, on a framebuffer of the kernel, and is dark when the service stops"):
            self._shows_pixels()
        with check("lines in the journal have a priority and fields"):
            self._journal_has_fields()
        with check("a reload with another topic: the clients stay, the old topic is cleared, the unit is active throughout"):
            self._reload()
        with check("systemd-analyze: an exposure of 1.5 at most, and no remarks"):
            self._guest.must(f"systemd-analyze --no-pager --threshold={EXPOSURE_MAX} security sensegate")
            self._guest.expect_output("systemd-analyze --man=no verify /usr/lib/systemd/system/sensegate.service 2>&1", "")
        with check("after a healthy minute, the journal has no warning"):
            self._warns_of_nothing()
        with check("a secret of /etc/credstore reaches the gateway, which starts without it as well"):
            self._takes_a_secret()

    def _begin_to_be_healthy(self) -> None:
        self._matrix = self._guest.must("start_matrix").strip()
        self._healthy_moment = self._guest.now()
        self._guest.must("systemctl restart sensegate")
        self._healthy_since = time.monotonic()
        with Client(self._guest.mqtt_port, "healthy") as client:
            client.subscribe("myRasp/#")
            state = client.wait_for_state("all readings are there", lambda state: state["health"] == "ok")
            expect(state["source"] == "i2c", f"the source is {state['source']}")

    def _shows_pixels(self) -> None:
        pixels = {"0,0": "red", "7,0": "#00ff00", "3,7": [0, 0, 255]}
        command = {"pixels": pixels, "low_light": False, "brightness": 1}
        with Client(self._guest.mqtt_port, "matrix") as client:
            client.subscribe("myRasp/leds")
            client.wait_for("the matrix is there", lambda heard: '"health":"ok"' in heard.get("myRasp/leds", [""])[-1])
            client.publish("myRasp/leds/set", json.dumps(command))
            self._guest.wait_for(f"frame_is {self._matrix} {frame({(0, 0): 0xF800, (7, 0): 0x07E0, (3, 7): 0x001F})}", 20)
            client.publish("myRasp/leds/set", json.dumps({"fill": "white"}))
            self._guest.wait_for(f"frame_is {self._matrix} {'ffff' * 64}", 20)
        self._guest.must("systemctl stop sensegate")
        self._guest.must(f"frame_is {self._matrix} {frame({})}")
        self._guest.must("systemctl start sensegate")

    def _journal_has_fields(self) -> None:
        entries = [entry for entry in self._guest.entries_since(self._healthy_moment) if entry.get("_COMM") == "sensegate"]
        without = [entry["MESSAGE"] for entry in entries if "PRIORITY" not in entry]
        expect(bool(entries) and not without, f"lines without a priority: {without} of {len(entries)}")
        expect(any("SENSEGATE_AFTER_MS" in entry for entry in entries), f"no field of the first reading: {entries}")

    def _reload(self) -> None:
        old, new = "myRasp/sensors/temperature", "myRasp/attic/temperature"
        with Client(self._guest.mqtt_port, "stays") as client:
            client.subscribe("#")
            client.wait_for("the old topic is there", lambda heard: old in heard)
            connection, process = self._guest.must(CONNECTIONS), self._guest.property("MainPID")
            edit(self._guest, 's|^topic = "{prefix}/sensors/temperature"|topic = "{prefix}/attic/temperature"|')
            self._guest.must(RELOAD_WATCHED)
            client.wait_for("the new topic comes", lambda heard: new in heard)
            client.wait_for("the old topic is cleared", lambda heard: heard[old][-1] == "")
            expect(client.lost == 0, "the client was disconnected")
            expect(self._guest.must(CONNECTIONS) == connection, "the client has another connection")
            expect(self._guest.property("MainPID") == process, "the process is another one")
        with Client(self._guest.mqtt_port, "later") as client:
            client.subscribe("myRasp/#")
            client.wait_for("the new topic is there", lambda heard: new in heard)
            expect(old not in client.heard, "the old topic is still retained")

    def _warns_of_nothing(self) -> None:
        time.sleep(max(0.0, self._healthy_since + HEALTHY_SECONDS - time.monotonic()))
        warnings = self._guest.lines_since(self._healthy_moment, "-p", "warning")
        expect(warnings == "", f"warnings of a healthy system:\n{warnings}")

    def _takes_a_secret(self) -> None:
        self._guest.expect_output(f"ls /etc/credstore; ls $({CREDENTIALS})", "")
        edit(self._guest, "/^\\[uplink.ubidots\\]/,/^\\[/ { s/^enabled = false/enabled = true/; s|^url = .*|url = \"mqtt://127.0.0.1:9\"|; s/^# device = /device = / }")
        moment = self._guest.now()
        expect(self._guest.run("systemctl restart sensegate").status != 0, "it starts without the token")
        self._guest.wait_for_line(moment, "systemd hands over no credential `ubidots.token`", "-p", "err")
        self._guest.must(f"umask 077; printf {TOKEN} >/etc/credstore/ubidots.token")
        self._guest.must("systemctl restart sensegate")
        directory = self._guest.must(CREDENTIALS).strip()
        self._guest.expect_output(f"cat {directory}/ubidots.token", TOKEN)
        with Client(self._guest.mqtt_port, "uplinks") as client:
            client.subscribe("myRasp/uplink/#")
            client.wait_for("the uplink tells its state", lambda heard: "myRasp/uplink/ubidots/state" in heard)
        edit(self._guest, "/^\\[uplink.ubidots\\]/,/^\\[/ s/^enabled = true/enabled = false/")
        self._guest.must("rm /etc/credstore/ubidots.token && systemctl restart sensegate")
        self._guest.expect_property("ActiveState", "active")


def frame(pixels: dict[tuple[int, int], int]) -> str:
    """The bytes of a frame in which all other pixels are dark, in hexadecimal."""
    words = (pixels.get((x, y), 0) for y in range(8) for x in range(8))
    return b"".join(word.to_bytes(2, "little") for word in words).hex()


# Who is connected to the gateway, by address and port.
CONNECTIONS = "ss -Htn state established '( sport = :1883 )' | awk '{ print $4 }' | sort"
# Looks at the unit all the time while it reloads.
RELOAD_WATCHED = (
    "(while test ! -e /run/reloaded; do property ActiveState; done) >/run/states & "
    "systemctl reload sensegate; status=$?; sleep 1; touch /run/reloaded; wait; rm /run/reloaded; "
    "sort -u /run/states; ! grep -vx -e active -e reloading /run/states && [ $status = 0 ]"
)
