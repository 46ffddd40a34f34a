"""The rules of a kind on its way into the store, and the base that fits most kinds.

The verbs call, in this order: decode and default → mutating admission → ``prepare_for_*`` → ``validate*`` →
validating admission → ``allocate`` → store → (on failure) the undo that ``allocate`` gave. For a new
object ``allocate`` comes before ``validate*``. ``prepare_*`` change the object in place; ``validate*`` and
``permitted`` return what is wrong and change nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import attributes as authorization
from kubeshim.machinery import errors, objects, resources, written_fields

_RESET: dict[tuple[str, str], tuple[str, ...] | written_fields.Only] = {
    ("namespaces", ""): ("status", "spec.finalizers"),
    ("namespaces", "finalize"): ("status",),
    ("pods", "ephemeralcontainers"): written_fields.Only(("spec.ephemeralContainers",)),
    ("pods", "resize"): written_fields.Only(
        tuple(
            f"spec.{part}.*.{field}"
            for part in ("containers", "initContainers")
            for field in ("resources", "resizePolicy")
        )
    ),
    ("pods", "status"): ("spec", "metadata.deletionTimestamp", "metadata.ownerReferences"),
    ("deployments.apps", "status"): ("spec", "metadata.labels"),
    ("certificatesigningrequests.certificates.k8s.io", ""): ("spec", "status"),
    ("certificatesigningrequests.certificates.k8s.io", "status"): ("spec", "status.conditions"),
    ("certificatesigningrequests.certificates.k8s.io", "approval"): ("spec", "status.certificate"),
    **{
        (group_resource, "status"): ("metadata", "spec")
        for group_resource in (
            "apiservices.apiregistration.k8s.io",
            "customresourcedefinitions.apiextensions.k8s.io",
            "devicetaintrules.resource.k8s.io",
            "flowschemas.flowcontrol.apiserver.k8s.io",
            "podcertificaterequests.certificates.k8s.io",
            "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
            "resourceclaims.resource.k8s.io",
            "servicecidrs.networking.k8s.io",
            "storageversionmigrations.storagemigration.k8s.io",
            "validatingadmissionpolicies.admissionregistration.k8s.io",
            "volumeattachments.storage.k8s.io",
        )
    },
}
"""What of an object upstream's strategies say they reset, where it is not the usual."""

_METADATA_STAYS = frozenset(
    (
        "apiservices.apiregistration.k8s.io",
        "devicetaintrules.resource.k8s.io",
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "podcertificaterequests.certificates.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        "resourceclaims.resource.k8s.io",
        "servicecidrs.networking.k8s.io",
        "storageversionmigrations.storagemigration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "volumeattachments.storage.k8s.io",
    )
)
"""Types of whose metadata the status endpoint changes nothing; that of older ones takes labels and the like."""
_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")


class Asker(NamedTuple):
    """Who wants something written, how (``update``, ``patch``), and what there is to judge that by."""

    user: request.UserInfo
    verb: str
    subresource: str
    authorizer: authorization.Authorizer
    reader: plugin.Reader
    registry: resources.Registry | None = None


class Strategy:
    """Base: no special rules."""

    allow_create_on_update = False
    """Whether PUT and apply-less PATCH of a missing name create it."""
    allow_unconditional_update = True
    """Whether an update may come without a resourceVersion."""
    generated_suffix = True
    """Whether a generated name is ``generateName`` with something behind it, or just that."""
    undeletable: Mapping[str, str] = {}
    """Names that nobody deletes one by one, and what is said to who tries."""
    gone_with: tuple[resources.GroupVersionResource, ...] = ()
    """Types of which the object of the same name goes at once when one of this type has gone."""
    graceful = False
    """Whether a deletion gives the object time to end (``grace_period``)."""
    dependents: Literal["delete", "orphan", "ignore"] = "delete"
    """What becomes of dependents where a deletion does not say; kinds of before the garbage collector orphan them."""
    orphan_warning = ""
    """What to say to who lets dependents be orphaned without having asked for it."""
    first_generation = 1
    """Of new objects, where the type counts generations; 0 leaves it out."""
    counted_metadata: tuple[str, ...] = ()
    """Members of metadata whose change is a new generation, as one of the desired state is."""
    has_status = True
    """Whether the main endpoint leaves ``status`` alone because a status subresource exists."""

    def check_creatable(self, resource: resources.Resource) -> None:
        """Raises an API error where no object of the type can be made (any more)."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        """Resets what a client may not set; the base drops ``status`` of kinds with a status subresource."""
        if "status" in resource.subresources and self.has_status:
            obj.pop("status", None)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Puts back what this endpoint may not change; the base restores ``status``."""
        if "status" in resource.subresources and self.has_status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = old["status"]

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """The status endpoint: everything but ``status`` and metadata is the old object's, of some types that, too."""
        if resource.group_resource in _METADATA_STAYS:
            metadata, before = obj.setdefault("metadata", {}), old["metadata"]
            for field in _METADATA:
                metadata.pop(field, None)
                if field in before:
                    metadata[field] = before[field]
        for field in set(obj) | set(old):
            if field in ("status", "metadata", "apiVersion", "kind"):
                continue
            if field in old:
                obj[field] = old[field]
            else:
                del obj[field]

    def canonicalize(self, resource: resources.Resource, obj: objects.Object) -> None:
        """Brings what has been found right into the one form in which it is stored."""

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        """What is wrong with a new object, beyond metadata and schema."""
        return []

    def validate_create(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        """What is wrong with a new object that would be right with an old one; ``validate`` is called as well."""
        return []

    def validate_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        """What is wrong with a change. ``validate`` is called on the new object as well."""
        return []

    def validate_change(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        """All that is wrong with an update, in the order it is told."""
        return self.validate(resource, obj) + self.validate_update(resource, obj, old)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return []

    def permitted(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, asker: Asker
    ) -> list[errors.FieldError]:
        """What the one who asks may not write; told before all else that is wrong with the fields."""
        return []

    def is_new_generation(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> bool:
        """Whether a change is one of the desired state, for types that count generations."""
        for field in obj.keys() | old.keys():
            if field == "status" and "status" in resource.subresources:
                continue
            if field not in ("metadata", "kind", "apiVersion") and obj.get(field) != old.get(field):
                return True
        metadata, before = obj["metadata"], old["metadata"]
        return any((metadata.get(field) or {}) != (before.get(field) or {}) for field in self.counted_metadata)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        """Texts for ``Warning`` headers."""
        return []

    def warnings_as_sent(self, resource: resources.Resource, obj: objects.Object) -> list[str]:
        """Of a new object as it came, before ``prepare_for_create`` mends what is warned of."""
        return []

    def status_warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> list[str]:
        """Of what the status endpoint was given."""
        return []

    def grace_period(self, obj: objects.Object, options: dict[str, Any]) -> int:
        """Seconds between the first delete request and removal; 0 removes at once."""
        return 0

    def begin_deletion(self, obj: objects.Object, now: str) -> bool:
        """For kinds whose deletion begins in a way of its own: marks ``obj`` and says True; it stays for now."""
        return False

    def reset_fields(self, resource: resources.Resource, subresource: str) -> written_fields.Rule:
        """The fields (``spec``, ``metadata.labels``) that nobody owns who writes at this endpoint."""
        return _RESET.get((resource.group_resource, subresource))

    def allocate(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, reader: plugin.Reader,
        dry_run: bool,
    ) -> Callable[[], None] | None:  # fmt: skip
        """Takes what must be unique across objects (ClusterIPs, node ports); returns what to call when the object has
        been written, or has not."""
        return None

    def to_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        """From the served version to the stored one (``stored_as``); the base stores what is served."""
        return obj

    def from_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        return obj
