"""CertificateRequester: a signing request says truly who made it.

Upstream does this in the storage of signing requests; here the user is known to admission only. Signers decide by these
fields, so whatever the client wrote into them is replaced.
"""

from kubeshim.control_plane.api_server.admission import plugin

_REQUESTS = "certificatesigningrequests.certificates.k8s.io"


class CertificateRequester:
    """Mutating admission plugin."""

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.operation != "CREATE" or attributes.resource.group_resource != _REQUESTS:
            return
        if attributes.object is None or attributes.subresource:
            return
        spec, user = attributes.object.setdefault("spec", {}), attributes.user
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra.items()}
