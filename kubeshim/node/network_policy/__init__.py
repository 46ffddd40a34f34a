"""NetworkPolicies, enforced by the kernel of the node's namespace for the pods on that node.

``policies`` works out from API objects who may talk to whom and is pure; ``rules`` makes it nftables text and is
pure; ``enforcer`` watches and applies. Each end is judged on its own node: egress where the client is, ingress where
the server is, both after a Service's address has become a pod's.
"""
