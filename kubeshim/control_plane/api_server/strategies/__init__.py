"""What is special about a kind, a file a family; everything else is the generic verbs' work.

``strategy.Strategy`` is the base with the rules that hold for every kind; ``table`` maps the names used in
``schemas/resources/`` to instances. Strategies never import each other.
"""
