"""``secret``: a Secret's keys as files in memory, following its changes."""

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import mounts
from kubeshim.node.kubelet.volumes import atomic_writer, sources, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["secret"]
    payload = sources.secret(source, context, sources.default_mode(source))
    mounts.tmpfs(directory)
    atomic_writer.write(directory, payload, context.fs_group)
    return volume.Made(directory, watched=[("Secret", source.get("secretName") or "")])
