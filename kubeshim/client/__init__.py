"""What every component needs to talk to an API server, ours or a genuine one.

``rest`` speaks the verbs, ``informer`` keeps a cache by list and watch, ``workqueue`` orders the work,
``leader_election`` lets one of several act, ``recorder`` writes Events. Threads, no event loop. It is not the
official client: that one is for tests and examples, an independent witness.
"""
