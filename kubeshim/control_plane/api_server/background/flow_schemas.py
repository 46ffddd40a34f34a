"""Says in each FlowSchema's status whether the priority level it names exists, and lets levels lend their seats."""

from typing import TYPE_CHECKING

from gevent import event as gevent_event

from kubeshim import clock
from kubeshim.control_plane.api_server.flow_control import controller
from kubeshim.machinery import errors, objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


def run(server: "servers.Server") -> None:
    changed = gevent_event.Event()
    for gvr in (controller.LEVELS, controller.SCHEMAS):
        server.storage.subscribe(gvr, lambda _: changed.set())
    while not server.stopping.is_set():
        if changed.is_set():
            changed.clear()
            for schema in server.storage.reader.list(controller.SCHEMAS):
                note_level(server, objects.name(schema))
        else:
            changed.wait(controller.ADJUSTMENT_PERIOD)
            server.flow_control.adjust()


def note_level(server: "servers.Server", name: str) -> None:
    held = server.storage.reader.get(controller.SCHEMAS, "", name)
    if held is None:
        return
    level = held["spec"]["priorityLevelConfiguration"]["name"]
    exists = server.storage.reader.get(controller.LEVELS, "", level) is not None
    known = objects.condition(held, "Dangling")
    status, reason, rest = (
        ("False", "Found", "and it exists") if exists else ("True", "NotFound", "but there is no such object")
    )
    message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" {rest}'
    if known is not None and (known.get("status"), known.get("message")) == (status, message):
        return
    condition = {
        "type": "Dangling", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": clock.rfc3339(server.clock.now()),
    }  # fmt: skip
    others = [one for one in (held.get("status") or {}).get("conditions") or () if one.get("type") != "Dangling"]
    noted = {**held, "status": {**(held.get("status") or {}), "conditions": [*others, condition]}}
    try:
        server.client.update(controller.SCHEMAS, noted, subresource="status")
    except (errors.Conflict, errors.NotFound):
        return  # its change wakes us again
