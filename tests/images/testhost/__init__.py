"""The program of the test image: one entry point with the subcommands, flags, paths and words of the official suite's.

It runs inside containers on the standard library alone. Each module has the subcommands of one topic; ``__main__`` is
the table of them all.
"""
