"""A file a controller, each a class with ``register`` and ``sync``; they do not know each other."""
