"""The control plane: API server, cluster store, controller manager and scheduler.

Older books call it the master. Controllers and scheduler are clients of the API server like any other;
only the API server sees the store. None of them imports another, nor anything of ``node``.
"""
