"""Schemas of custom resources: which are structural, and what else one must be to be accepted.

A structural schema says the type of every field outside of logical combinations, so that pruning, defaulting and
server-side apply know each field. ``invariants`` checks that, ``completeness`` that combinations speak only of fields
that exist, ``rules`` what goes beyond (unsupported keywords, list and map types), ``defaults`` that default values
fit, ``field_paths`` that a path names a field. Schemas are the ``openAPIV3Schema`` JSON; all answers are field errors
in apiextensions' words.
"""
