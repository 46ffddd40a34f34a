"""Servers of the test image in pods behind Services, deployed as the official suite deploys its webhooks."""

import base64

from kubeshim import pki
from tests.conformance.kube import container, meta, template

PORT = 8443
CERTIFICATES = "/webhook.local.config/certificates"


def start(kube, testhost, name, *arguments):
    """Deploys it and waits until the Service of that name has an endpoint; its client configuration, without path."""
    authority = pki.Authority.create("e2e-server-cert-ca")
    domain = f"{name}.{kube.namespace}.svc"
    pair = dict(zip(("tls.crt", "tls.key"), authority.issue(domain, dns=[domain], usages=pki.SERVER), strict=True))
    kube.create({"kind": "Secret", "metadata": meta(name), "type": "Opaque",
                 "data": {file: encoded(content) for file, content in pair.items()}})  # fmt: skip
    labels, port = {"app": name, "webhook": "true"}, PORT + 1
    main = container(
        image=testhost,
        args=[
            *arguments,
            *(f"--{flag}={CERTIFICATES}/{file}"
              for flag, file in (("tls-cert-file", "tls.crt"), ("tls-private-key-file", "tls.key"))),
            "-v=4",
            f"--port={port}",
        ],
        volumeMounts=[{"name": "certificates", "readOnly": True, "mountPath": CERTIFICATES}],
        readinessProbe={"httpGet": {"scheme": "HTTPS", "port": port, "path": "/readyz"}, "periodSeconds": 1,
                        "successThreshold": 1, "failureThreshold": 30},
        ports=[{"containerPort": port}],
    )  # fmt: skip
    volumes = [{"name": "certificates", "secret": {"secretName": name}}]
    kube.create({"kind": "Deployment", "metadata": meta(name, labels=labels), "spec": {
        "replicas": 1, "selector": {"matchLabels": labels},
        "template": template(labels, main, volumes=volumes, terminationGracePeriodSeconds=0)}})  # fmt: skip
    kube.wait("Deployment", name, lambda d: d["status"].get("availableReplicas") == 1)
    kube.create({"kind": "Service", "metadata": meta(name, labels={"test": "webhook"}), "spec": {
        "selector": labels, "ports": [{"protocol": "TCP", "port": PORT, "targetPort": port}]}})  # fmt: skip
    chosen = f"kubernetes.io/service-name={name}"
    kube.wait_all("EndpointSlice", lambda found: any(map(has_ready_endpoint, found)), labelSelector=chosen)
    service = {"namespace": kube.namespace, "name": name, "port": PORT}
    return {"service": service, "caBundle": encoded(authority.certificate_pem)}


def has_ready_endpoint(part):
    return any(endpoint.get("conditions", {}).get("ready") for endpoint in part.get("endpoints") or ())


def encoded(data):
    return base64.b64encode(data).decode()
