"""The Pod Security Standards: what a pod must not do at the levels ``baseline`` and ``restricted``.

``levels`` reads a namespace's labels; ``baseline`` and ``restricted`` are the checks, pure functions of a pod's
metadata and spec; ``evaluation`` knows which of them belong to which level in which version. The admission plugin
``plugins.pod_security`` asks them.
"""
