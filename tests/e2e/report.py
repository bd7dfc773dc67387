"""The output of the walk: one line for each expectation that held."""

from __future__ import annotations

import time
from collections.abc import Callable


class Failed(AssertionError):
    """A promise of byokd did not hold."""


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def passed(text: str) -> None:
    print(f"  ok  {text}", flush=True)


def expect(condition: bool, text: str, seen: object = "") -> None:
    """Prints `text` if the condition holds, else fails with the actual value."""
    if not condition:
        raise Failed(f"{text}\n      seen: {seen!r}" if seen != "" else text)
    passed(text)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Polls a condition until it holds; fails when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
