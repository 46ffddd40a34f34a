"""The forms of objects that are made for looking at: Table rows and bare metadata.

``table`` is what ``kubectl get`` shows, in upstream's columns and words; ``partial`` what metadata clients ask for.
Everything here is computed from the object and the time now. Nothing here is for storing or validating.
"""

from kubeshim.machinery.tables.render import SCALE as SCALE
from kubeshim.machinery.tables.render import columns as columns
from kubeshim.machinery.tables.render import default_of as default_of
from kubeshim.machinery.tables.render import partial as partial
from kubeshim.machinery.tables.render import table as table
