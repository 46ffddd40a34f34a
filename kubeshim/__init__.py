"""A Kubernetes-compatible system in Python over real containers.

Every box of the textbook picture is a folder: ``control_plane`` (API server, cluster store, controller
manager, scheduler) and ``node`` (kubelet, container runtime, kube-proxy). They meet only over the
Kubernetes API; ``cluster.py`` is the one file that knows them all.
"""

__version__ = "0.1.0"

KUBERNETES_VERSION = "v1.37.0"
"""The Kubernetes release whose API is served, as ``/version`` reports it."""
