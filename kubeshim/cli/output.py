"""What the verbs print, in one manner."""

import sys


def step(title: str, said: str, seconds: float) -> None:
    """One line a step with its time."""
    print(f"  {title:<42}{seconds:>7.2f} s   {said}", flush=True)


def fail(message: object) -> int:
    """An error on stderr; returns the exit code."""
    print(f"kubeshim: {message}", file=sys.stderr)
    return 1
