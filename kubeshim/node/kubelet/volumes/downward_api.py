"""``downwardAPI``: fields of the pod itself as files, following its labels and annotations."""

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet.volumes import atomic_writer, sources, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["downwardAPI"]
    payload = sources.downward_api(source, context, sources.default_mode(source))
    atomic_writer.write(directory, payload, context.fs_group)
    return volume.Made(directory)
