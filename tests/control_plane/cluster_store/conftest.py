import threading

import pytest


@pytest.fixture
def write():
    """Submits operations all at once; returns their outcomes in order."""

    def submit(kept, *operations):
        outcomes, done = {}, threading.Event()

        def reply_for(index):
            def reply(outcome):
                outcomes[index] = outcome
                if len(outcomes) == len(operations):
                    done.set()

            return reply

        for index, operation in enumerate(operations):
            kept.submit(operation, reply_for(index))
        assert done.wait(60)
        return [outcomes[index] for index in range(len(operations))]

    return submit
