"""``kube-system/extension-apiserver-authentication``: whom an aggregated API server may believe."""

import pathlib
from typing import TYPE_CHECKING

import orjson

from kubeshim.control_plane.api_server.authentication import authenticators
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import legacy_tokens, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

CONFIG_MAPS = resources.GroupVersionResource("", "v1", "configmaps")


def ensure(server: "servers.Server") -> None:
    reconcile.ensure(server, CONFIG_MAPS, _config_map("extension-apiserver-authentication", _data(server)), _merged)
    since = {"since": server.clock.now().strftime("%Y-%m-%d")}
    reconcile.ensure(server, CONFIG_MAPS, _config_map(legacy_tokens.TRACKING, since))


def _config_map(name: str, data: dict[str, str]) -> objects.Object:
    metadata = {"name": name, "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _data(server: "servers.Server") -> dict[str, str]:
    config = server.config
    data = {}
    if config.client_ca:
        data["client-ca-file"] = pathlib.Path(config.client_ca).read_text()
    if config.front_proxy_ca:
        data |= {
            "requestheader-client-ca-file": pathlib.Path(config.front_proxy_ca).read_text(),
            "requestheader-allowed-names": orjson.dumps(list(authenticators.FRONT_PROXY_NAMES)).decode(),
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }
    return data


def _merged(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
    data = {**(held.get("data") or {}), **wanted["data"]}
    return None if data == held.get("data") else {**held, "data": data}
