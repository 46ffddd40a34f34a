"""Cluster DNS: names of Services and endpoints, served from what informers know.

``records`` answers a question from Services and EndpointSlices and is pure; ``message`` is the wire format, small
because an answer here has few forms; ``forwarder`` asks others about names outside the cluster (and may be switched
off); ``resolver`` decides who answers, ``server`` listens. Follows the cluster DNS specification 1.1.0, and CoreDNS
where that leaves a choice.
"""
