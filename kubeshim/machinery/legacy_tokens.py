"""Tokens of service accounts that are kept in Secrets and never expire: the names all who deal with them use.

Source: Kubernetes documentation, "Managing Service Accounts"; KEP-2799.
"""

SECRET_TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
"""Annotations of such a Secret: whose token it holds."""
ISSUER = "kubernetes/serviceaccount"
CLAIM = "kubernetes.io/serviceaccount/"
"""What the names of the claims begin with that are theirs alone."""
LAST_USED, INVALID_SINCE = "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"
"""Labels of such a Secret, days as ``2026-01-31``: when somebody last came with its token, since when it is invalid."""
TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
"""The ConfigMap in ``kube-system`` whose ``since`` is the first day that uses were written down."""
