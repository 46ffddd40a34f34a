"""A whole cluster on one machine: the one package that knows all components.

``up`` and ``down`` are ordered lists of steps; ``layout`` says where things lie, ``configuration`` what was chosen,
``components`` which processes run with which sockets. Everything else talks over the API.
"""
