"""Admission: what an object must pass between authorization and storage.

Plugins are siblings in ``plugins/``; ``chain`` holds their order as one list. Mutating ones run first and may
change ``attributes.object``; validating ones may not. A refusal is an ``errors.APIStatusError``, usually
``errors.forbidden``.
"""
