"""API Priority and Fairness: whose request may run now, whose waits, whose is refused.

    request ──▶ the first FlowSchema that matches ──▶ its PriorityLevelConfiguration ──▶ run, wait in a queue, or 429

``classification`` finds the schema, ``levels`` shares out the server's seats, ``queue_set`` is one level's seats and
queues, ``controller`` follows the objects and admits requests, ``dump`` shows the state to people.
"""
