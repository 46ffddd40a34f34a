"""The API's language: pure functions and records, no I/O, no clock of their own, no framework.

``resources`` says which types exist, ``schemas`` how their objects are shaped, ``errors`` what goes wrong
in Kubernetes' words; ``codecs`` read and write them, ``validation`` and ``defaults`` judge and complete
them, ``patches``, ``fieldsets`` and ``apply`` change them, ``tables``, ``discovery`` and ``openapi`` show
them. Whoever speaks the Kubernetes API, server or client, may import from here; nothing here imports
from the rest of kubeshim but ``clock``.
"""
