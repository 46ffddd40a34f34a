"""Volumes made on demand: directories of the node that a claim's first pod was given, as local persistent volumes.

A provisioner runs beside each node's kubelet, after the external provisioner's deployment per node: it takes the claims
that were handed to its name and whose node is its own, makes the directory, then the PersistentVolume with an affinity
to the node; grows volumes whose claims ask for more; and, where the reclaim policy says so, takes the directory away
with the volume. It is an ordinary API client with an identity of its own.

What a size means: nothing holds a pod to it, a directory has no quota. It counts for what the API knows.

Why a crash cannot hurt: names follow from the claim's uid, each step may be repeated, and the directory comes before
the volume and goes before it. A directory left by a crash between the two is empty and is removed at the next start; a
finalizer keeps a volume's object until its directory is gone, whoever deletes it.
"""
