"""Where a type keeps what its ``scale`` subresource shows."""

import dataclasses

from kubeshim.machinery import resources

KIND = resources.GroupVersionKind("autoscaling", "v1", "Scale")


@dataclasses.dataclass(frozen=True, slots=True)
class Paths:
    """Field names from the top. ``selector`` is empty where there is none."""

    replicas: tuple[str, ...] = ("spec", "replicas")
    status: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")
    selector_is_text: bool = False
