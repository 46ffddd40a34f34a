"""Objects as bytes: what crosses the wire, in every form Kubernetes speaks.

``negotiation`` picks the form from headers, ``json``, ``yaml`` and ``protobuf`` read and write it, ``frames``
cuts watches into events, ``bodies`` puts them together for a request: which object a body is, in whose words it
is refused. ``strict`` compares an object with its schema: names unknown fields, and brings it into the form that
Go's structs would have given it. Nothing here does I/O; nothing here knows what an object means.
"""
