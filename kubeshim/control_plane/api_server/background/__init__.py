"""What the server does beside answering: a file each, listed in ``table``.

Everything goes through ``server.client``, which is the verbs in process as ``system:apiserver``; each piece of work
is a function of the server, runs in a greenlet of its own, and is started again when it fails.
"""
