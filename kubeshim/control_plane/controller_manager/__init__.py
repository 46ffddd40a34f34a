"""The loops that make the world what objects say it should be; an ordinary client of any API server.

``manager`` is the process and the table of controllers, ``controller`` what they all are. A controller is a file
in ``controllers/``; what it decides is in a pure module beside this one (``rollout``, ``jobs``, ``sets``,
``ownership`` …), what several share too (``replicas``, ``adoption``, ``pod_control``, ``expectations``). Nothing polls:
informers wake workers, and what is due at a time waits in the queue as a timer.

Read ``controller`` first, then ``controllers/serviceaccount``, ``replicas``, ``rollout``, ``controllers/deployment``.
"""
