"""The three client-side patch languages: JSON patch, JSON merge patch, strategic merge patch.

Each is a function of the current object (which it leaves alone) and the decoded patch, and gives a new object.
What a patched object may look like is none of their business: the caller prunes and validates it as on update.
"""
