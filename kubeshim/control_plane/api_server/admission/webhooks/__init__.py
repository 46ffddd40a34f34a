"""Admission webhooks: other servers that change or refuse what is written here.

``mutating`` and ``validating`` are plugins of the chain as those in ``plugins/``; they stand here because they need
the whole server. ``hook`` is a webhook of a configuration as a record, ``hooks`` keeps all there are in the order in
which they are asked, ``review`` is the question and what counts as an answer (pure), ``asking``
goes from one request to one webhook's answer.

A hook that fails is passed over or stops the request, as its ``failurePolicy`` says. Services are resolved here, not
by the kernel's rules.
"""
