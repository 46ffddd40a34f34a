"""What ConfigMap, Secret, downward API and token sources put into files; shared by their own volumes and projected."""

import base64
from collections.abc import Mapping

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import field_paths
from kubeshim.node.kubelet.volumes import atomic_writer, trust_bundles, volume

DEFAULT_MODE = 0o644


def config_map(source: Object, context: volume.Context, mode: int) -> dict[str, atomic_writer.File]:
    return _keyed("ConfigMap", source.get("name") or "", source, context, mode)


def secret(source: Object, context: volume.Context, mode: int) -> dict[str, atomic_writer.File]:
    name = source.get("secretName") or source.get("name") or ""
    return _keyed("Secret", name, source, context, mode)


def _keyed(kind: str, name: str, source: Object, context: volume.Context, mode: int) -> dict[str, atomic_writer.File]:
    optional = bool(source.get("optional"))
    obj = context.lookup(kind, name)
    if obj is None:
        if optional:
            return {}
        raise volume.VolumeProblem(f'{kind.lower()} "{name}" not found')
    data = contents(obj)
    items = source.get("items") or ()
    if not items:
        return {key: atomic_writer.File(value, mode) for key, value in data.items()}
    made: dict[str, atomic_writer.File] = {}
    for item in items:
        if item["key"] in data:
            made[item["path"]] = atomic_writer.File(data[item["key"]], _mode(item, mode))
        elif not optional:
            raise volume.VolumeProblem(
                f"{kind.lower()} references non-existent {kind.lower()} key: {item['key']}"
                if kind == "ConfigMap"
                else f"references non-existent secret key: {item['key']}"
            )
    return made


def contents(obj: Object) -> dict[str, bytes]:
    """A ConfigMap's text and binary data, or a Secret's decoded data."""
    if obj.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    found = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    binary: Mapping[str, str] = obj.get("binaryData") or {}
    return found | {key: base64.b64decode(value) for key, value in binary.items()}


def downward_api(source: Object, context: volume.Context, mode: int) -> dict[str, atomic_writer.File]:
    made: dict[str, atomic_writer.File] = {}
    for item in source.get("items") or ():
        try:
            if item.get("fieldRef"):
                text = field_paths.field(context.pod, item["fieldRef"]["fieldPath"], context.node)
            else:
                text = field_paths.resource(context.pod, "", item["resourceFieldRef"], context.node.allocatable)
        except field_paths.FieldProblem as problem:
            raise volume.VolumeProblem(str(problem)) from problem
        made[item["path"]] = atomic_writer.File(text.encode(), _mode(item, mode))
    return made


def service_account_token(
    source: Object, context: volume.Context, mode: int
) -> tuple[dict[str, atomic_writer.File], float]:
    """The file, and when to renew it. Only its user or group may read it where the pod names one."""
    seconds = int(source.get("expirationSeconds") or 3600)
    token = context.token(context.pod, source.get("audience") or "", seconds)
    if context.fs_user is not None or context.fs_group is not None:
        mode = 0o600
    return {source["path"]: atomic_writer.File(token.text.encode(), mode, context.fs_user)}, token.refresh_at


def pod_certificate(
    source: Object, credentials: volume.Credentials, context: volume.Context, mode: int
) -> dict[str, atomic_writer.File]:
    """The key, the chain, or both in one file. Only its user or group may read them where the pod names one."""
    if context.fs_user is not None or context.fs_group is not None:
        mode = 0o600
    parts = {
        "credentialBundlePath": credentials.key + credentials.chain,
        "keyPath": credentials.key,
        "certificateChainPath": credentials.chain,
    }
    return {
        source[field]: atomic_writer.File(data, mode, context.fs_user)
        for field, data in parts.items()
        if source.get(field)
    }


def cluster_trust_bundle(source: Object, context: volume.Context, mode: int) -> dict[str, atomic_writer.File]:
    try:
        chosen = trust_bundles.choose(source, context.every(trust_bundles.KIND))
    except trust_bundles.Missing as problem:
        raise volume.VolumeProblem(f"unable to write {source['path']}: {problem}") from problem
    return {source["path"]: atomic_writer.File(trust_bundles.anchors(chosen), mode)}


def _mode(item: Object, default: int) -> int:
    given = item.get("mode")
    return default if given is None else int(given)


def default_mode(source: Object) -> int:
    given = objects.dig(source, "defaultMode")
    return DEFAULT_MODE if given is None else int(given)
