"""From the engine's answers to our records. Pure."""

import datetime
from collections.abc import Mapping
from typing import Any

from kubeshim.node.container_runtime import engine_bodies, runtime


def moment(text: str) -> float:
    """Seconds since the epoch of an engine time; 0.0 for Go's zero time. Nanoseconds are cut to microseconds."""
    if not text or text.startswith("0001-"):
        return 0.0
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest.rstrip("Z")
        zone = "+00:00"
        for sign in "+-":
            if sign in digits:
                digits, _, offset = digits.partition(sign)
                zone = sign + offset
        text = f"{head}.{(digits + '000000')[:6]}{zone}"
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def state(found: Mapping[str, Any]) -> runtime.State:
    if found.get("Running"):
        return runtime.State.RUNNING
    status = found.get("Status")
    if status == "created" and not found.get("Error"):
        return runtime.State.CREATED
    return runtime.State.EXITED


def container(answer: Mapping[str, Any]) -> runtime.Container:
    """From ``GET /containers/ID/json``. A container that could not start counts as exited, with code 128."""
    found = answer["State"]
    failed_start = found.get("Status") == "created" and bool(found.get("Error"))
    exit_code = int(found.get("ExitCode") or 0)
    labels = answer["Config"].get("Labels") or {}
    created = moment(answer.get("Created", ""))
    started, finished = moment(found.get("StartedAt", "")), moment(found.get("FinishedAt", ""))
    if finished:
        # Of a container that ends at once the engine notes the end first.
        finished = max(finished, started)
    return runtime.Container(
        id=answer["Id"],
        name=answer["Name"].lstrip("/"),
        sandbox_id=labels.get(engine_bodies.SANDBOX, ""),
        state=state(found),
        image=answer["Config"].get("Image", ""),
        image_id=answer.get("Image", ""),
        created_at=created,
        started_at=started,
        finished_at=created if failed_start else finished,
        exit_code=128 if failed_start else exit_code,
        signal=0,
        oom_killed=bool(found.get("OOMKilled")) and exit_code == 137,
        message=str(found.get("Error") or ""),
        pid=int(found.get("Pid") or 0),
        labels=_own(labels),
    )


def sandbox(answer: Mapping[str, Any]) -> runtime.Sandbox:
    found = answer["State"]
    labels = answer["Config"].get("Labels") or {}
    return runtime.Sandbox(
        id=answer["Id"],
        name=answer["Name"].lstrip("/"),
        state=state(found),
        pid=int(found.get("Pid") or 0),
        created_at=moment(answer.get("Created", "")),
        labels=_own(labels),
        network=labels.get(engine_bodies.NETWORK, "own"),
    )


def _own(labels: Mapping[str, str]) -> dict[str, str]:
    """Without the labels this package adds."""
    hidden = (engine_bodies.KIND, engine_bodies.SANDBOX, engine_bodies.NETWORK)
    return {key: value for key, value in labels.items() if key not in hidden}


def image(answer: Mapping[str, Any]) -> runtime.Image:
    """From ``GET /images/NAME/json`` or an entry of ``GET /images/json``."""
    config = answer.get("Config") or {}
    return runtime.Image(
        id=answer["Id"],
        tags=tuple(tag for tag in answer.get("RepoTags") or () if tag != "<none>:<none>"),
        digests=tuple(digest for digest in answer.get("RepoDigests") or () if not digest.startswith("<none>")),
        size=int(answer.get("Size") or 0),
        user=str(config.get("User") or ""),
    )


_EVENTS = {"start": "started", "die": "died", "oom": "oom", "destroy": "removed"}


def event(line: Mapping[str, Any]) -> runtime.Event | None:
    """None for what the interface does not know."""
    kind = _EVENTS.get(line.get("Action", ""))
    if kind is None:
        return None
    actor = line.get("Actor") or {}
    attributes = dict(actor.get("Attributes") or {})
    code = attributes.pop("exitCode", None)
    return runtime.Event(
        kind=kind,
        id=str(actor.get("ID") or line.get("id") or ""),
        labels=_own(attributes),
        exit_code=int(code) if code is not None and kind == "died" else None,
        time=int(line.get("timeNano") or 0) / 1e9,
    )
