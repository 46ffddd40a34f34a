from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.admission.plugins import certificate_requester
from kubeshim.machinery import resources

REQUESTS = resources.Resource(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False, ()
)


def test_what_the_client_says_of_itself_is_replaced():
    obj = {"spec": {"signerName": "x/y", "username": "admin", "groups": ["system:masters"], "uid": "1"}}
    user = request.UserInfo("jane", ("system:authenticated",), extra={"a": ("b",)})
    attributes = plugin.Attributes(user, "CREATE", REQUESTS, "", "", "", obj, None, {}, False, [])
    certificate_requester.CertificateRequester().admit(attributes, None)
    assert obj["spec"] == {
        "signerName": "x/y",
        "username": "jane",
        "groups": ["system:authenticated"],
        "extra": {"a": ["b"]},
    }
