"""kubectl in a namespace of the test's own."""

import json


class Command:
    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace

    def __call__(self, *arguments, **options):
        """Its output; a failure is the test's."""
        return self.cluster.out("-n", self.namespace, *arguments, **options)

    def run(self, *arguments, **options):
        """Its completed process, whatever came of it."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, check=False, **options)

    def refusal(self, *arguments, **options):
        """What it says when it fails, which it must."""
        done = self.run(*arguments, **options)
        assert done.returncode, f"{arguments} did not fail: {done.stdout}"
        return done.stderr

    def feed(self, verb, *manifests, options=()):
        """``kubectl VERB -f -`` with these objects."""
        return self(*verb.split(), "-f", "-", *options, stdin="\n".join(map(json.dumps, manifests)))

    def create(self, *manifests):
        return self.feed("create", *manifests)

    def get(self, *arguments):
        return json.loads(self("get", *arguments, "-o", "json"))

    def path(self, what, path):
        """A field of an object by its jsonpath."""
        return self("get", *what.split(), "-o", f"jsonpath={path}")

    def managers(self, what):
        """Whose fields they are, the cluster's own components left out."""
        found = self.path(f"{what} --show-managed-fields", "{.metadata.managedFields[*].manager}").split()
        return [name for name in found if not name.startswith("kube-")]


def config_map(name, labels=None, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": data}


def pod(name, labels=None, **spec):
    """A pod that no node fits: for what needs no container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "absent"}], **spec},
    }


def workload(kind, name, replicas=1, image="absent:1", **spec):
    """A controller whose pods fit no node."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name)["spec"]}
    template["spec"]["containers"][0]["image"] = image
    more = {} if kind == "DaemonSet" else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **more, **spec},
    }


def definition(plural, kind, scope="Namespaced", labels=None):
    """A CustomResourceDefinition in ``shop.example`` that takes anything."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.shop.example", "labels": labels or {}},
        "spec": {
            "group": "shop.example",
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
