"""``configMap``: a ConfigMap's keys as files, following its changes."""

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet.volumes import atomic_writer, sources, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["configMap"]
    payload = sources.config_map(source, context, sources.default_mode(source))
    atomic_writer.write(directory, payload, context.fs_group)
    return volume.Made(directory, watched=[("ConfigMap", source.get("name") or "")])
