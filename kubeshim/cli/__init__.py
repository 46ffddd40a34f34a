"""The ``kubeshim`` command, a file a verb."""
