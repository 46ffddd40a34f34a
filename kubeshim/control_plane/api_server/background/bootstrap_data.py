"""Reads ``schemas/bootstrap/``."""

import functools
import importlib.resources
from typing import Any

import yaml


@functools.cache
def read(name: str) -> Any:
    text = importlib.resources.files("kubeshim.schemas").joinpath(f"bootstrap/{name}.yaml").read_bytes()
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
