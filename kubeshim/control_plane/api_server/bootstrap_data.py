"""Reads ``schemas/bootstrap/``."""

import functools
import importlib.resources
from typing import Any

from kubeshim import fast_yaml


@functools.cache
def read(name: str) -> Any:
    text = importlib.resources.files("kubeshim.schemas").joinpath(f"bootstrap/{name}.yaml").read_bytes()
    return fast_yaml.load(text)
