"""OpenAPI documents, v2 and v3, of whatever types are served, built in or custom.

``operations`` says what can be done, ``paths`` writes it down, ``components`` adds the shapes, ``documents`` puts them
together and ``protobuf`` encodes both for who asks. Nothing is kept here: callers cache under the registry's
generation.
"""

from kubeshim.machinery.openapi.documents import v2 as v2
from kubeshim.machinery.openapi.documents import v3 as v3
from kubeshim.machinery.openapi.documents import v3_document as v3_document
from kubeshim.machinery.openapi.documents import v3_hash as v3_hash
from kubeshim.machinery.openapi.documents import v3_hashes as v3_hashes
from kubeshim.machinery.openapi.documents import v3_index as v3_index
from kubeshim.machinery.openapi.documents import v3_url as v3_url
from kubeshim.machinery.openapi.protobuf import V2_MEDIA_TYPES as V2_PROTOBUF
from kubeshim.machinery.openapi.protobuf import V3_MEDIA_TYPES as V3_PROTOBUF
from kubeshim.machinery.openapi.protobuf import v2 as v2_protobuf
from kubeshim.machinery.openapi.protobuf import v3 as v3_protobuf

__all__ = [
    "V2_PROTOBUF", "V3_PROTOBUF", "v2", "v2_protobuf", "v3", "v3_document", "v3_hash", "v3_hashes", "v3_index",
    "v3_protobuf", "v3_url",
]  # fmt: skip
