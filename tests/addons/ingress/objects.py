"""API objects as tests of the Ingress controller need them, in few words."""

import base64

from kubeshim.addons.ingress import routes


def ingress_class(name="kubeshim", controller=routes.CONTROLLER):
    return {"metadata": {"name": name}, "spec": {"controller": controller}}


def service(name, *ports, **spec):
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": list(ports), **spec}}


def endpoint_slice(service, port_name, port, *endpoints):
    """Endpoints are addresses, or (address, conditions)."""
    entries = [entry if isinstance(entry, tuple) else (entry, {"ready": True}) for entry in endpoints]
    return {
        "metadata": {
            "name": f"{service}-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": port_name, "port": port}],
        "endpoints": [{"addresses": [address], "conditions": conditions} for address, conditions in entries],
    }


def backend(service, port=80):
    return {"service": {"name": service, "port": {"name": port} if isinstance(port, str) else {"number": port}}}


def path(text, service, kind="Prefix", port=80):
    return {"path": text, "pathType": kind, "backend": backend(service, port)}


def rule(host, *paths):
    found = {"http": {"paths": list(paths)}} if paths else {}
    return found | ({"host": host} if host else {})


def ingress(name, *rules, created="2026-01-01T00:00:00Z", class_name="kubeshim", **spec):
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
        "spec": {"ingressClassName": class_name, "rules": list(rules), **spec},
    }


def secret(name, certificate, key):
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    return {"metadata": {"name": name, "namespace": "default"}, "type": "kubernetes.io/tls", "data": data}
