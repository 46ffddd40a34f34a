"""The API server: the one door to the cluster's state, speaking Kubernetes' REST API.

A request goes: ``server`` (sockets, TLS) → ``app`` (the ordered filters) → ``request_info`` (what is asked)
→ ``verbs/`` (a file each, generic over all types) → ``storage`` (watch cache over the cluster store). What is
special about a kind is a small strategy in ``strategies/``; what an object must pass on its way is an
admission plugin in ``admission/``. Work the server does on its own stands in ``background/``.

One process, gevent without monkey patching: what blocks runs in a native thread and answers through the hub.
"""
