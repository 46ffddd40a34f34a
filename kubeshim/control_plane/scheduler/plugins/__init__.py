"""A file a plugin, named and behaving as kube-scheduler's; they do not know each other."""
