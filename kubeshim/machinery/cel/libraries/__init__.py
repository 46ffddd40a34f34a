"""What Kubernetes adds to CEL: a library a file, each a ``LIBRARY`` tuple of overloads; ``table`` joins them."""
