"""``ephemeral``: a claim made for this pod alone, named ``POD-VOLUME`` and owned by it."""

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet.volumes import persistent_claim, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    name = f"{objects.name(context.pod)}-{spec['name']}"
    claim = context.lookup("PersistentVolumeClaim", name)
    owner = objects.controller_of(claim) if claim is not None else None
    if claim is not None and (owner is None or owner.get("uid") != objects.uid(context.pod)):
        raise volume.VolumeProblem(f"PVC {context.namespace}/{name} was not created for pod "
                                   f"{context.namespace}/{objects.name(context.pod)} (pod is not owner)")  # fmt: skip
    return persistent_claim.bound(name, False, directory, context)
