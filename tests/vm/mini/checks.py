"""The checks of a mini virtual machine: checks.py ARCHITECTURE DIRECTORY, where kernel and initramfs are."""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime
from pathlib import Path

from host.client import Listener, State
from host.machine import Machine
from host.report import Report, expect
from mini import power_cut, registers

HAT = Path(__file__).parent / "hat.toml"
QUANTITIES = ("temperature", "pressure", "humidity")
# The state is rounded to four decimals.
ROUNDING = 0.000_05 + 1e-9
# Seconds that the clocks of guest and host may be apart: the guest's is set at its start, in whole seconds.
CLOCKS_APART = 30
# The architecture on which the power is cut: what happens to a file does not depend on the processor.
POWER_CUT_ON = ("arm64", "amd64")


def is_well(state: State) -> bool:
    return bool(state["health"] == "ok")


def reasons(state: State) -> dict[str, str | None]:
    """Why quantities are absent; None for one that is there."""
    return {name: state[name].get("reason") for name in QUANTITIES}


def check_values(state: State, expected: dict[str, float]) -> None:
    for name in QUANTITIES:
        value = state[name]["value"]
        expect(abs(value - expected[name]) <= ROUNDING, f"{name} is {value}, expected {expected[name]:.6f}")


class Checks:
    """One machine and its client, from one check to the next."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self.machine = machine
        self.report = report
        self.expected = registers.values(registers.load(HAT))
        self.bus = ""
        self.listener: Listener | None = None

    def run(self) -> None:
        """Each builds on those before it, so the first failure is the one to look at."""
        report = self.report
        with report.check("boots Debian's kernel"):
            self.machine.wait_until_up()
        with report.check("the HAT's adapter appears, and the stick as an input device"):
            self.plug_in()
        with report.check("doctor finds both chips on the kernel's adapter"):
            self.doctor_is_content()
        with report.check("readings arrive at a client on the host, equal to the registers"):
            self.readings_arrive()
        with report.check("the stick as an input device: a push arrives at a client on the host"):
            self.push_arrives()
        with report.check("the stick is taken away while it is pushed: let go, and heard again once it is back"):
            self.stick_goes()
        with report.check("another measurement is another reading"):
            self.readings_follow()
        with report.check("a chip that does not answer is absent alone and comes back"):
            self.chip_falls_silent()
        with report.check("the adapter is pulled out: all absent with the reason, nobody disconnected"):
            self.pull_out()
        with report.check("plugged in again, readings come back by themselves"):
            self.plug_in_again()
        with report.check("the kernel's driver takes the pressure: absent with the reason, the rest goes on"):
            self.driver_binds()
        with report.check("doctor names the driver, and its advice frees the chip"):
            self.driver_is_unbound()

    def client(self) -> Listener:
        if self.listener is None:
            self.listener = Listener(self.machine.mqtt_port)
        return self.listener

    def plug_in(self) -> None:
        self.machine.must("load hat")
        self.machine.must("start_hat")
        self.bus = self.machine.must("wait_for 20 hat_bus").strip()
        self.machine.must("grep -q 'Name=\"Raspberry Pi Sense HAT Joystick\"' /proc/bus/input/devices")

    def doctor_is_content(self) -> None:
        output = self.machine.must(f"SENSEGATE__SENSORS__BUS={self.bus} gateway doctor")
        for words in (f"/dev/i2c-{self.bus}", "0x5f with identity 0xbc", "0x5c with identity 0xbd", "/dev/input/event"):
            expect(words in output, f"doctor does not say `{words}`:\n{output}")

    def readings_arrive(self) -> None:
        self.machine.must(f"SENSEGATE__SENSORS__BUS={self.bus} start_gateway")
        state = self.client().wait_for_state("all quantities are there", is_well)
        expect(state["source"] == "i2c", f"the source is {state['source']}")
        check_values(state, self.expected)
        plain = self.client().text("myRasp/sensors/pression")
        expect(plain == f"{self.expected['pressure']:.2f}", f"the plain pressure is {plain}")

    def push_arrives(self) -> None:
        for direction in ("left", "middle"):
            before = time.time()
            self.machine.must(f"hat push {direction}")
            press = self.client().wait_for_stick(direction, "press")
            release = self.client().wait_for_stick(direction, "release")
            expect(release["held_ms"] < 1000, f"a push is held for long: {release}")
            told = datetime.fromisoformat(press["time"].replace("Z", "+00:00")).timestamp()
            expect(abs(told - before) < CLOCKS_APART, f"the press is told for another time: {press}")

    def stick_goes(self) -> None:
        self.machine.must("hat press up")
        self.client().wait_for_stick("up", "press")
        output = self.machine.run(f"SENSEGATE__SENSORS__BUS={self.bus} gateway doctor").output
        expect("is read by sensegate (process" in output, f"doctor does not say who has the stick:\n{output}")
        self.machine.must("hat stick out")
        self.client().wait_for_stick("up", "release")
        self.machine.must("hat stick in")
        # the gateway looks for it again after some seconds, and hears nothing of what was before
        self.machine.must("wait_for 60 stick_is_read")
        self.machine.must("hat push down")
        self.client().wait_for_stick("down", "press")
        self.client().wait_for_stick("down", "release")

    def readings_follow(self) -> None:
        # 0x3f2000 is 1010.0 hPa.
        self.machine.must("hat set lps25h 0x28 00 20 3f")
        self.expected["pressure"] = 1010.0
        # The chips are new ones: a sample may come before their first conversion.
        state = self.client().wait_for_state(
            "the pressure changes", lambda state: is_well(state) and state["pressure"]["value"] == 1010.0
        )
        check_values(state, self.expected)

    def chip_falls_silent(self) -> None:
        self.machine.must("hat fault nack 0x5f")
        gone = {"temperature": "no_chip", "pressure": None, "humidity": "no_chip"}
        self.client().wait_for_state("one chip is absent", lambda state: reasons(state) == gone)
        self.machine.must("hat heal")
        check_values(self.client().wait_for_state("it is back", is_well), self.expected)

    def pull_out(self) -> None:
        self.machine.must("hat unplug")
        self.machine.must(f"wait_for 10 absent /dev/i2c-{self.bus}")
        gone = dict.fromkeys(QUANTITIES, "no_bus")
        state = self.client().wait_for_state("the bus is gone", lambda state: reasons(state) == gone)
        for name in QUANTITIES:
            expect(state[name].get("value") is None, f"{name} has a value without a HAT: {state[name]}")
            expect(f"/dev/i2c-{self.bus}" in state[name]["text"], f"the reason does not name the bus: {state[name]}")
        expect(self.client().lost == 0, "the client was disconnected")

    def plug_in_again(self) -> None:
        self.machine.must("hat plug")
        self.machine.must(f"wait_for 20 test -c /dev/i2c-{self.bus}")
        check_values(self.client().wait_for_state("readings are back", is_well), self.expected)
        expect(self.client().lost == 0, "the client was disconnected")

    def driver_binds(self) -> None:
        self.machine.must("load driver")
        adapter = f"/sys/bus/i2c/devices/i2c-{self.bus}"
        self.machine.must(f"echo lps25h 0x5c > {adapter}/new_device")
        raw = int(self.machine.must(f"cat {adapter}/{self.bus}-005c/iio:device*/in_pressure_raw"))
        expect(raw == round(self.expected["pressure"] * 4096), f"the kernel's driver reads {raw}")
        taken = {"temperature": None, "pressure": "busy", "humidity": None}
        state = self.client().wait_for_state("the pressure is busy", lambda state: reasons(state) == taken)
        expect("st-press-i2c" in state["pressure"]["text"], f"the driver is not named: {state['pressure']}")
        self.client().wait_for_state(
            "samples go on", lambda new: new["sequence"] > state["sequence"] + 2 and reasons(new) == taken
        )

    def driver_is_unbound(self) -> None:
        outcome = self.machine.run(f"SENSEGATE__SENSORS__BUS={self.bus} gateway doctor")
        expect(outcome.status == 1, f"doctor ends with status {outcome.status}:\n{outcome.output}")
        advice = re.search(r"st-press-i2c owns the chip at 0x5c.* now: (echo \S+ \| sudo tee \S+);", outcome.output)
        expect(advice is not None, f"doctor gives no advice:\n{outcome.output}")
        assert advice
        self.machine.must(advice[1].replace("sudo ", ""))
        check_values(self.client().wait_for_state("the pressure is back", is_well, 60), self.expected)


def main(arch: str, system: Path) -> int:
    """Runs all checks of the architecture; the guest's console is shown when one failed."""
    report = Report(arch)
    began = time.monotonic()
    with Machine(arch, system / "kernel", system / "initramfs") as machine:
        checks = Checks(machine, report)
        checks.run()
        if checks.listener:
            checks.listener.close()
        if report.failures:
            print(f"--- console of the {arch} guest\n{machine.console()}\n---", file=sys.stderr)
    print(f"       {time.monotonic() - began:6.1f} s  {arch}: all of these in one boot", flush=True)
    if arch in POWER_CUT_ON:
        power_cut.run(arch, system, report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
