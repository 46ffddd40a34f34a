"""Volumes: a file a type, each making a directory on this machine that containers get bound.

``volume`` says what a type is told and must do; ``table`` names the types there are; ``manager`` prepares all
volumes of a pod, refreshes those whose sources change, and takes them away. A type that is not in the table is
refused by name.
"""
