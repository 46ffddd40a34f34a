"""The resource metrics API (``metrics.k8s.io``): what nodes and pods use now, for ``kubectl top`` and autoscalers.

``samples`` reads what a kubelet says, ``rates`` makes usage of two samples, ``scraper`` brings them when somebody asks,
``answers`` writes the API's objects and ``server`` serves them to the API server, which aggregates them. While nobody
asks, nothing happens.
"""
