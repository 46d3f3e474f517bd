"""What the virtual HAT's registers mean, by the formulas of the datasheets (HTS221 §8, LPS25H §4): written a second
time, so that a slip in the gateway does not agree with itself."""

from __future__ import annotations

import tomllib
from pathlib import Path


def load(path: Path) -> dict[str, dict[int, int]]:
    """Reads a dump: registers by chip and address."""
    with path.open("rb") as file:
        chips = tomllib.load(file)["chip"]
    return {chip["name"]: spread(chip["registers"]) for chip in chips}


def spread(registers: dict[str, str]) -> dict[int, int]:
    """`{"0x28": "1e e8"}` as `{0x28: 0x1e, 0x29: 0xe8}`."""
    return {
        int(first, 16) + offset: byte
        for first, text in registers.items()
        for offset, byte in enumerate(bytes.fromhex(text))
    }


def values(chips: dict[str, dict[int, int]]) -> dict[str, float]:
    """The quantities, unrounded."""
    hts221, lps25h = chips["hts221"], chips["lps25h"]

    def signed(chip: dict[int, int], first: int, count: int = 2) -> int:
        return int.from_bytes(bytes(chip[first + n] for n in range(count)), "little", signed=True)

    highest = hts221[0x35]
    t0, t1 = (hts221[0x32] | (highest & 0b11) << 8) / 8, (hts221[0x33] | (highest >> 2 & 0b11) << 8) / 8
    h0, h1 = hts221[0x30] / 2, hts221[0x31] / 2
    temperature = line(signed(hts221, 0x2A), signed(hts221, 0x3C), signed(hts221, 0x3E), t0, t1)
    humidity = line(signed(hts221, 0x28), signed(hts221, 0x36), signed(hts221, 0x3A), h0, h1)
    return {
        "temperature": temperature,
        "humidity": min(100.0, max(0.0, humidity)),
        "pressure": signed(lps25h, 0x28, 3) / 4096,
    }


def line(count: int, count_0: int, count_1: int, value_0: float, value_1: float) -> float:
    """The value on the line through both points of a calibration."""
    return value_0 + (count - count_0) * (value_1 - value_0) / (count_1 - count_0)
