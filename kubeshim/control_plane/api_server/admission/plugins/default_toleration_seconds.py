"""DefaultTolerationSeconds: how long a pod stays on a node that is not ready or cannot be reached."""

from typing import Any

from kubeshim.control_plane.api_server.admission import plugin

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds:
    resources = frozenset(("pods",))

    def __init__(self, not_ready: int, unreachable: int) -> None:
        """Seconds."""
        self._seconds = {NOT_READY: not_ready, UNREACHABLE: unreachable}

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.subresource or attributes.operation not in ("CREATE", "UPDATE") or attributes.object is None:
            return
        spec = attributes.object["spec"]
        present = spec.get("tolerations") or []
        added = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            for key, seconds in self._seconds.items()
            if not any(_covers(toleration, key) for toleration in present)
        ]
        if added:
            spec["tolerations"] = [*present, *added]


def _covers(toleration: dict[str, Any], key: str) -> bool:
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", "NoExecute")
