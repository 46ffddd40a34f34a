"""The cluster store: keys, bytes and revisions, with a watch. It knows nothing of Kubernetes.

``store`` is the interface, in etcd's terms; ``sqlite`` the embedded default, ``memory`` the one for tests,
``etcd`` the one for several masters. One contract suite holds them all to the same behaviour.
"""
