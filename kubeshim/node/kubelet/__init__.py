"""The kubelet: makes the pods bound to its node run, and tells the API server how they are.

``kubelet`` watches pods and hands each to its own ``pod_worker``; ``pod_status`` is the pure function from what
runs to what the API says. ``probes``, ``hooks``, ``images``, ``environment`` and ``volumes/`` do what their names
say; ``network`` gives pods their addresses; ``server`` answers logs, exec, attach and port-forward.
"""
