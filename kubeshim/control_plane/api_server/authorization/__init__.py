"""May they do it? ``system:masters`` always; else the Node authorizer for kubelets, then RBAC.

``attributes`` is the question and the answer, ``rules`` what a policy rule allows and covers (pure), ``rbac`` and
``node`` the two authorizers over indexes that follow the stored objects, ``authorizer`` the chain with its memory,
``escalation`` the guard of the roles themselves, ``bootstrap_policy`` the roles every cluster starts with.
"""
