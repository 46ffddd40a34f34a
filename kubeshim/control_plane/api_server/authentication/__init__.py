"""Who asks? Client certificates, service-account and bootstrap tokens, a front proxy's headers, or nobody.

Each file knows one kind of credential and nothing of the others; ``authenticators`` is the order in which they are
tried. What a certificate or token says is remembered, so that a known one costs a dict look-up.
"""
