"""Figures, not tests: each is printed with the floor it is compared to, both taken in the same run."""
