"""Jobs: the server makes the selector, from the job's own uid."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import job_status, job_updates, jobs

_PREFIX = "batch.kubernetes.io/"


class Job(strategy.Strategy):
    dependents = "orphan"
    orphan_warning = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or "
        "set propagationPolicy=Orphan to suppress this warning"
    )

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        obj["status"] = {}
        if not objects.dig(obj, "spec", "manualSelector"):
            generate_selector(obj)
        # As upstream's defaults do, to what is read from the store.
        if not obj["metadata"].get("labels") and (labels := objects.dig(obj, "spec", "template", "metadata", "labels")):
            obj["metadata"]["labels"] = dict(labels)

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return jobs.job(obj)

    def validate_change(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return job_updates.change(obj, old)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return job_status.status(obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return jobs.warn(obj, old)


def generate_selector(obj: objects.Object) -> None:
    """Labels the template with the job's uid and name, and selects by the uid.

    What the client wrote under these labels is left to validation, which refuses anything but the right values.
    """
    spec = obj.setdefault("spec", {})
    template = spec.get("template")
    if template is None:
        return
    metadata = template.get("metadata")
    if metadata is None:
        metadata = template["metadata"] = {}
    labels = dict(metadata.get("labels") or {})
    uid, name = objects.uid(obj), objects.name(obj)
    for prefix in ("", _PREFIX):
        labels.setdefault(f"{prefix}controller-uid", uid)
        labels.setdefault(f"{prefix}job-name", name)
    metadata["labels"] = labels
    selector = spec.get("selector")
    if selector is None:
        selector = spec["selector"] = {}
    chosen = selector.get("matchLabels")
    if chosen is None:
        chosen = selector["matchLabels"] = {}
    chosen.setdefault(f"{_PREFIX}controller-uid", uid)
