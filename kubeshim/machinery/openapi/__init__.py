"""OpenAPI documents, v2 and v3, of whatever types are served, built in or custom.

``operations`` says what can be done, ``paths`` writes it down, ``components`` adds the shapes, ``documents`` puts them
together and ``protobuf`` encodes v2 for old clients. Nothing is kept here: callers cache under the registry's
generation.
"""

from kubeshim.machinery.openapi.documents import v2 as v2
from kubeshim.machinery.openapi.documents import v3 as v3
from kubeshim.machinery.openapi.documents import v3_document as v3_document
from kubeshim.machinery.openapi.documents import v3_hashes as v3_hashes
from kubeshim.machinery.openapi.documents import v3_index as v3_index
from kubeshim.machinery.openapi.protobuf import MEDIA_TYPE as PROTOBUF
from kubeshim.machinery.openapi.protobuf import encode as v2_protobuf

__all__ = ["PROTOBUF", "v2", "v2_protobuf", "v3", "v3_document", "v3_hashes", "v3_index"]
