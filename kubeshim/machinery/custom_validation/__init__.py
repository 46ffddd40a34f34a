"""Objects of custom types against the OpenAPI v3 schema of their definition, in apiextensions' words.

``schema`` compiles a schema and walks objects, ``formats`` knows what a ``format`` means, ``outcome`` words what is
wrong. ``lists`` holds what list types promise (unique elements and keys), ``embedded`` what an object within an
object must have. Nothing here changes an object.
"""
