"""The container runtime: sandboxes, containers and images, after CRI. It knows nothing of Kubernetes.

``runtime`` is the interface; ``docker`` runs real containers, ``fake`` plays them by rules for tests and
simulated nodes. Nothing above this package knows Docker.
"""
