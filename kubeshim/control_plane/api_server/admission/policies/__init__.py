"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules of the cluster's own, written as expressions.

``validating`` and ``mutating`` are plugins of the chain; ``definitions`` keeps policies and their bindings, compiled;
``params`` finds what a binding hands to its policy; ``asking`` goes from one request to the bindings that concern it.
"""
