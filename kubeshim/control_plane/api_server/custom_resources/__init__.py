"""Types that CustomResourceDefinitions define, served like built-in ones.

A definition is watched from the store (``catalog``). Once its names are accepted and it is established, each served
version becomes a ``custom_type``: the same ``Resource`` record a built-in type has, in the same registry, so that
verbs, discovery, OpenAPI, tables, selectors and server-side apply need to know nothing of it. What is special is
little: a body is held against its own schema (``bodies``), an object read from the store is brought into the form of
the definition as it is now (``catalog.from_storage``), and all versions are stored as one. Where versions differ in
more than their names, another server converts between them (``conversion``).

``naming`` decides which names a definition may have, ``conditions`` writes that down; who acts on it is
``background.custom_resource_definitions``.
"""
