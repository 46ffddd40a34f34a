"""What stands behind a name and is more than the object itself: bindings, evictions, tokens, streams, proxies, reviews.

``table`` maps (group, plural, subresource) to a handler; the verbs serve what is not in it (``status``, ``scale``).
A handler gets the request after authentication and authorization and answers it.
"""
