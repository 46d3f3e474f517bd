"""Checks: one line each, with its verdict and its time, on the terminal and in the file that the summary is made of."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Failed(Exception):
    """Something is not as it has to be."""


class Report:
    """The checks of one machine. A failed check is told, and the next ones run all the same."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self.failures = 0

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Runs the block as a check. Whatever it raises is its failure."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.failures += 1
            self._tell("FAILED", began, name)
            if isinstance(error, Failed):
                print(f"       {error}", file=sys.stderr)
            else:
                traceback.print_exc()
        else:
            self._tell("ok", began, name)

    def _tell(self, verdict: str, began: float, name: str) -> None:
        seconds = time.monotonic() - began
        print(f"{verdict:<6} {seconds:6.1f} s  {self._subject}: {name}", flush=True)
        if path := os.environ.get("SENSEGATE_VM_RESULTS"):
            with open(path, "a", encoding="utf-8") as results:
                results.write(f"{verdict}\t{seconds:.1f}\t{self._subject}: {name}\n")


def expect(is_so: bool, what: str) -> None:
    """Ends the check when it is not so."""
    if not is_so:
        raise Failed(what)
