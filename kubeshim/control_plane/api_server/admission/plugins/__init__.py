"""One admission plugin a file, named as upstream names it; ``admission.chain`` holds their order. Siblings never
import each other: what several need stands one folder up.
"""
