"""Streams of shared parts: each reader can unpack what has come so far, and the whole is one member."""

import gzip
import zlib

import hypothesis
from hypothesis import strategies

from kubeshim.machinery.codecs import gzip_stream


@hypothesis.given(strategies.lists(strategies.binary(min_size=1, max_size=300), max_size=8))
def test_a_stream(contents):
    stream = gzip_stream.Stream()
    parts = {content: gzip_stream.part(content) for content in contents}
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    sent = b""
    for content in contents:
        chunk = stream.add(content, parts[content])
        assert reader.decompress(chunk) == content
        sent += chunk
    sent += stream.end()
    assert gzip.decompress(sent) == b"".join(contents)
    if contents:
        reader.decompress(stream.end())
        assert reader.eof
        assert reader.unused_data == b""
