"""What runs in a cluster beside the components proper: cluster DNS, and later dashboard, metrics, storage."""
