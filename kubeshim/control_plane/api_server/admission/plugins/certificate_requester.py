"""CertificateRequester: a signing request says truly who made it.

Upstream does this in the storage of signing requests; here the user is known to admission only. Signers decide by these
fields, so whatever the client wrote into them is replaced.
"""

from kubeshim.control_plane.api_server.admission import plugin


class CertificateRequester:
    resources = frozenset(("certificatesigningrequests.certificates.k8s.io",))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.operation != "CREATE" or attributes.subresource or attributes.object is None:
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
