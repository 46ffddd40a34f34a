"""What the HorizontalPodAutoscaler controller decides with, and where it learns of usage.

``usage`` and ``replicas`` (how many a metric asks for) and ``limits`` (how far one may go now) are pure;
``metrics_apis`` asks the API server. Nobody but ``controllers/horizontalpodautoscaler`` is served.
"""
