"""The node: kubelet, container runtime and kube-proxy. Older books call it the minion.

A node is a network namespace, so several fit on one machine and the host's own firewall is left alone. The
parts are clients of the API server; none of them imports anything of ``control_plane``.
"""
