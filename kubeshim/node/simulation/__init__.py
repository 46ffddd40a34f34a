"""Simulated nodes: Node objects with heartbeats, and pods whose lives are only told.

One process plays any number of nodes, for trying schedulers, controllers and clients against a large cluster. Nothing
runs. What the API has of a pod is all there is: from its status, the time and the rules in its annotations the next
status follows, so the process may end and come back at any moment. The words are the kubelet's, for its own functions
choose them.

The nodes look as users of KWOK expect: label ``type=kwok``, annotation ``kwok.x-k8s.io/node: fake`` and the taint
``kwok.x-k8s.io/node=fake:NoSchedule``, so that only what tolerates it comes here. They have no InternalIP, for nobody
can reach them: neither routes nor cluster DNS nor metrics are led to them.
"""
