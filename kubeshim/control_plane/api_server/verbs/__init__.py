"""The verbs, a file each, generic over all types.

``operation`` is what they share: who asks for what, with which options. Each verb has a function that takes an
``Operation`` and gives a ``Stored`` (what ``LocalClient`` and subresources call) and a ``handle`` that reads a request
and renders the answer. ``table`` maps verbs to handlers.
"""
