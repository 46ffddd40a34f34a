"""What a node itself needs of the engine, before any runtime exists: its network, its holder; and what is left after.

A holder is a pause container on the cluster's own Docker network: its network namespace *is* the node.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from kubeshim.node.container_runtime import dialect, docker, engine_http, pause, runtime

SOCKET = "/var/run/docker.sock"


def connect() -> engine_http.Engine:
    """The engine of this machine: the socket of ``DOCKER_HOST`` where that is one."""
    host = os.environ.get("DOCKER_HOST", "")
    return engine_http.Engine(host.removeprefix("unix://") if host.startswith("unix://") else SOCKET)


def answers(engine: engine_http.Engine) -> bool:
    try:
        answer = engine.stream("GET", "/_ping", timeout=5.0)
    except (runtime.Unavailable, engine_http.EngineError):
        return False
    answer.connection.close()
    return True


def agree(engine: engine_http.Engine) -> dialect.Dialect:
    """Settles the API version to speak. Raises ``dialect.Unsupported`` for engines that cannot carry a node."""
    found = dialect.of(engine.call("GET", "/info"), engine.call("GET", "/version"), docker.this_machine())
    engine.prefix = f"/v{found.api_version}"
    return found


def networks(engine: engine_http.Engine) -> list[dict[str, Any]]:
    return list(engine.call("GET", "/networks"))


def ensure_network(
    engine: engine_http.Engine, name: str, subnet: str, gateway: str, labels: Mapping[str, str], bridge: str
) -> None:
    """A bridge network of that name on the link ``bridge``. One that is there already stays."""
    try:
        engine.call("GET", f"/networks/{quote(name)}")
        return
    except engine_http.EngineError as error:
        if error.status != 404:
            raise
    engine.call(
        "POST",
        "/networks/create",
        body={
            "Name": name,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway}]},
            "Labels": dict(labels),
            "Options": {"com.docker.network.bridge.name": bridge},
        },
    )


def remove_network(engine: engine_http.Engine, name: str) -> None:
    try:
        engine.call("DELETE", f"/networks/{quote(name)}")
    except engine_http.EngineError as error:
        if error.status != 404:
            raise


def ensure_pause_image(engine: engine_http.Engine) -> str:
    """Imports the pause image where it is missing; returns its reference."""
    try:
        engine.call("GET", f"/images/{pause.IMAGE}/json")
    except engine_http.EngineError as error:
        if error.status != 404:
            raise
        repository, _, tag = pause.IMAGE.partition(":")
        change = f"ENTRYPOINT {list(pause.ENTRYPOINT)}".replace("'", '"')
        query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": change}
        engine.call("POST", "/images/create", query, pause.archive())
    return pause.IMAGE


def ensure_holder(engine: engine_http.Engine, name: str, network: str, address: str, labels: Mapping[str, str]) -> int:
    """The container whose network namespace is the node; returns its pid. A stopped one is started again.

    It runs without capabilities, so that it stays in the namespace the engine put it in.
    """
    try:
        engine.call(
            "POST",
            "/containers/create",
            {"name": name},
            {
                "Image": pause.IMAGE,
                "Hostname": name,
                "Labels": dict(labels),
                "HostConfig": {
                    "NetworkMode": network,
                    "CapDrop": ["ALL"],
                    "SecurityOpt": ["no-new-privileges"],
                    # a node's own settings, which its pods' traffic depends on, are the agent's to make
                },
                "NetworkingConfig": {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}},
            },
        )
    except engine_http.EngineError as error:
        if error.status != 409:
            raise
    engine.call("POST", f"/containers/{quote(name)}/start")
    return int(engine.call("GET", f"/containers/{quote(name)}/json")["State"]["Pid"])


def holder_pid(engine: engine_http.Engine, name: str) -> int:
    """Of a node's holder; 0 where it does not run."""
    try:
        state = engine.call("GET", f"/containers/{quote(name)}/json")["State"]
    except engine_http.EngineError as error:
        if error.status != 404:
            raise
        return 0
    return int(state["Pid"]) if state["Running"] else 0


def kill_container(engine: engine_http.Engine, container: str) -> None:
    """One that does not run any more is no error."""
    try:
        engine.call("POST", f"/containers/{quote(container)}/kill")
    except engine_http.EngineError as error:
        if error.status not in (404, 409):
            raise


def containers(engine: engine_http.Engine, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """All that carry the labels, running or not, as the engine lists them."""
    return list(
        engine.call(
            "GET",
            "/containers/json",
            {"all": True, "filters": {"label": [f"{key}={value}" for key, value in labels.items()]}},
        )
    )


def remove_container(engine: engine_http.Engine, container: str) -> None:
    """Kills and removes; one that is gone already, or being removed, is no error."""
    try:
        engine.call("DELETE", f"/containers/{quote(container)}", {"force": True, "v": True})
    except engine_http.EngineError as error:
        if error.status not in (404, 409):
            raise


def load_image(engine: engine_http.Engine, archive: bytes) -> None:
    """``docker load`` of an archive that ``docker save`` made."""
    answer = engine.stream("POST", "/images/load", body=archive)
    text = answer.body().decode(errors="replace")
    answer.connection.close()
    if '"error"' in text:
        raise runtime.RuntimeFailure(text.strip())
