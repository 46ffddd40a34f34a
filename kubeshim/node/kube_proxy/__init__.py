"""kube-proxy: makes Services answer, by programming the kernel of the node's namespace.

``rules`` computes the text from Services and EndpointSlices and is pure; ``nft`` and ``iptables`` apply it;
``proxy`` watches and decides when.
"""
