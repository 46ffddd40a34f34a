"""``image``: the file tree of an image, read-only and without programs that could be run."""

import os

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import image_trees, mounts
from kubeshim.node.kubelet.volumes import volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    """A pod keeps the tree it began with, whatever its reference names later."""
    if mounts.is_mount(directory):
        return volume.Made(directory, sealed=True)
    image = context.image(spec["name"], spec["image"] or {})
    os.makedirs(directory, 0o755, exist_ok=True)
    # Before the tree is made, so that no sweep comes between.
    with open(directory + image_trees.USED_BY, "w", encoding="ascii") as file:
        file.write(image.id)
    mounts.bind_read_only(context.tree(image), directory)
    return volume.Made(directory, sealed=True)
