"""Aggregation: group-versions that other servers serve, shown as if they were ours.

An APIService with a ``spec.service`` hands a group-version to that Service. Requests pass all our filters first, then
go on to a ready endpoint (``proxy``); ``availability`` keeps asking who is there, ``documents`` writes what they serve
into discovery and OpenAPI. ``aggregator`` holds the state all of these look at.
"""
