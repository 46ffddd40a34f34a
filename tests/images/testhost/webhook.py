"""``webhook`` and ``crd-conversion-webhook``: admission and conversion as the official suite's webhooks decide."""

import base64
import json
import threading
import time

from testhost import web


def main(arguments):
    options = web.flags(arguments, tls_cert_file="", tls_private_key_file="", port=443, sidecar_image="")
    table = {path: reviewing(decide) for path, decide in DECISIONS.items()}
    table["/mutating-pods-sidecar"] = reviewing(adding_sidecar(options.sidecar_image))
    table["/readyz"] = lambda request: "ok"
    web.serve(options.port, web.routes(table), certificate=options.tls_cert_file, key=options.tls_private_key_file)


def reviewing(decide):
    def respond(request):
        review = json.loads(request.body)
        answer = {"uid": review["request"]["uid"], **decide(review["request"])}
        return web.as_json({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": answer})

    return respond


def allow(*operations):
    if not operations:
        return {"allowed": True}
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patch": patch, "patchType": "JSONPatch"}


def deny(**status):
    return {"allowed": False, "status": status}


def add(path, value):
    return {"op": "add", "path": path, "value": value}


def allow_late(request):
    time.sleep(5)
    return allow()


def always_deny(request):
    return deny(message="this webhook denies all requests")


def add_label(request):
    labels = (request["object"].get("metadata") or {}).get("labels") or {}
    if not labels:
        return allow(add("/metadata/labels", {"added-label": "yes"}))
    if labels.get("added-label") == "yes":
        return allow()
    operation = "replace" if "added-label" in labels else "add"
    return allow({"op": operation, "path": "/metadata/labels/added-label", "value": "yes"})


def pods(request):
    pod = request["object"]
    label = ((pod.get("metadata") or {}).get("labels") or {}).get("webhook-e2e-test")
    said = ""
    if label == "webhook-disallow":
        said += "the pod contains unwanted label; "
    if label == "wait-forever":
        threading.Event().wait()
    for container in pod["spec"]["containers"]:
        if "webhook-disallow" in container["name"]:
            said += "the pod contains unwanted container name; "
    return deny(message=said.strip()) if said else allow()


def attach(request):
    if request.get("name") != "to-be-attached-pod":
        return allow()
    options = request["object"]
    if not options.get("stdin") or options.get("container") != "container1":
        return allow()
    return deny(message="attaching to pod 'to-be-attached-pod' is not allowed")


def has(containers, name):
    return any(container["name"] == name for container in containers or ())


def mutate_pods(request):
    pod, name = request["object"], "webhook-added-init-container"
    if pod["metadata"].get("name") != "webhook-to-be-mutated" or has(pod["spec"].get("initContainers"), name):
        return allow()
    return allow(add("/spec/initContainers", [{"image": "webhook-added-image", "name": name, "resources": {}}]))


def adding_sidecar(image):
    name = "webhook-added-sidecar"

    def decide(request):
        if not image:
            return deny(status="Failure", message="No image specified by the sidecar-image parameter", code=500)
        if has(request["object"]["spec"]["containers"], name):
            return allow()
        return allow(add("/spec/containers/-", {"image": image, "name": name, "resources": {}}))

    return decide


def guard(what, unwanted, undeletable):
    """Data of a ConfigMap or custom resource that may not be."""

    def decide(request):
        operation = request["operation"]
        obj = request["oldObject"] if operation == "DELETE" else request["object"]
        value = (obj.get("data") or {}).get("webhook-e2e-test")
        if value == "webhook-disallow" and operation in ("CREATE", "UPDATE"):
            return deny(reason=f"the {what} contains unwanted {unwanted}")
        if value == "webhook-nondeletable" and operation == "DELETE":
            return deny(reason=f"the {what} cannot be deleted because it contains unwanted {undeletable}")
        return allow()

    return decide


def mutate_data(request):
    data = request["object"].get("data") or {}
    if data.get("mutation-stage-1") == "yes":
        return allow(add("/data/mutation-stage-2", "yes"))
    if data.get("mutation-start") == "yes":
        return allow(add("/data/mutation-stage-1", "yes"))
    return allow()


def definitions(request):
    labels = (request["object"].get("metadata") or {}).get("labels") or {}
    if labels.get("webhook-e2e-test") == "webhook-disallow":
        return deny(message="the crd contains unwanted label")
    return allow()


DECISIONS = {
    "/always-allow-delay-5s": allow_late,
    "/always-deny": always_deny,
    "/add-label": add_label,
    "/pods": pods,
    "/pods/attach": attach,
    "/mutating-pods": mutate_pods,
    "/configmaps": guard("configmap", "key and value", "key and value"),
    "/mutating-configmaps": mutate_data,
    "/custom-resource": guard("custom resource", "data", "key and value"),
    "/mutating-custom-resource": mutate_data,
    "/crd": definitions,
}


def convert(arguments):
    options = web.flags(arguments, tls_cert_file="", tls_private_key_file="", port=443)
    web.serve(
        options.port,
        web.routes({"/crdconvert": conversion, "/readyz": lambda request: "ok"}),
        certificate=options.tls_cert_file,
        key=options.tls_private_key_file,
    )


def conversion(request):
    review = json.loads(request.body)
    asked = review["request"]
    answer = {"uid": asked["uid"], "result": {"status": "Success"}}
    try:
        answer["convertedObjects"] = [converted(obj, asked["desiredAPIVersion"]) for obj in asked["objects"]]
    except ValueError as error:
        answer |= {"convertedObjects": [], "result": {"status": "Failed", "message": str(error)}}
    return web.as_json({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": answer})


def converted(obj, version):
    """v1 has ``hostPort``, v2 has ``host`` and ``port``."""
    if obj["apiVersion"] == version:
        raise ValueError(f"conversion from a version to itself should not call the webhook: {version}")
    found = {**obj, "apiVersion": version}
    if version.endswith("/v2"):
        if "hostPort" in found:
            parts = str(found.pop("hostPort")).split(":")
            if len(parts) != 2:
                raise ValueError(f"invalid hostPort value `{obj['hostPort']}`")
            found["host"], found["port"] = parts
    elif "host" in found or "port" in found:
        found["hostPort"] = f"{found.pop('host', '')}:{found.pop('port', '')}"
    return found
