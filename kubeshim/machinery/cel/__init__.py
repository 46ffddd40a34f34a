"""CEL: the language of rules, conditions and policies.

Source goes through ``parser`` (text to tree, macros expanded), ``checker`` (types), ``evaluation`` (closures that
count their cost) and, where a limit holds before running, ``costs``. ``environment`` is the door for one expression,
``rules`` for a schema's. Kubernetes' own functions are in ``libraries``.

Why our own: the one maintained engine for Python (cel-expr-python, around cel-cpp) counts no costs, gives up at 10,000
iterations or 32 levels, has no comprehensions of two variables, compares sets as lists, converts an object whole before
each evaluation (half a millisecond for a thousand items) and says other things than cel-go. It is the tests' witness.
"""
