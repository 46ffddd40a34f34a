"""Google's protobuf library as a witness of ours: the same messages, written and read by somebody else.

The messages come from the facts table itself, all in one file; a message's name has underscores for its dots.
"""

import csv
import functools
import importlib.resources

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from kubeshim.machinery.codecs import descriptors

_F = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _F.TYPE_BOOL, "bytes": _F.TYPE_BYTES, "double": _F.TYPE_DOUBLE, "int32": _F.TYPE_INT32,
    "int64": _F.TYPE_INT64, "string": _F.TYPE_STRING, "uint32": _F.TYPE_UINT32, "uint64": _F.TYPE_UINT64,
}  # fmt: skip


def canonical(name, message):
    """A message read and written again. Raises where it is none; unknown fields stay, at the end."""
    return _class(name).FromString(message).SerializeToString(deterministic=True)


def read(name, message):
    return _class(name).FromString(message)


def unknown_fields(name, message):
    found = _class(name).FromString(message)
    before = found.ByteSize()
    found.DiscardUnknownFields()
    return before - found.ByteSize()


def _class(name):
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(_flat(name)))


def _flat(name):
    return name.replace(".", "_")


@functools.cache
def _pool():
    file = descriptor_pb2.FileDescriptorProto(name="all.proto", syntax="proto2")
    made = {}
    text = importlib.resources.files("kubeshim.schemas").joinpath("facts/protobuf-fields.tsv").read_text()
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        name = f"{row['package']}.{row['message']}"
        message = made.get(name)
        if message is None:
            message = made[name] = file.message_type.add(name=_flat(name))
        if row["field"] != "-":
            _add(message, row)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add(message, row):
    field = message.field.add(name=row["field"], number=int(row["number"]))
    field.label = _F.LABEL_OPTIONAL if row["label"] == "optional" else _F.LABEL_REPEATED
    kind = descriptors._qualified(row["type"], row["package"])
    if row["label"] != "map":
        _type(field, kind)
        return
    entry = message.nested_type.add(name=row["field"][0].upper() + row["field"][1:] + "Entry")
    entry.options.map_entry = True
    for number, (name, of) in enumerate(zip(("key", "value"), kind.split(","), strict=True), 1):
        _type(entry.field.add(name=name, number=number, label=_F.LABEL_OPTIONAL), of)
    field.type, field.type_name = _F.TYPE_MESSAGE, f".{message.name}.{entry.name}"


def _type(field, kind):
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type, field.type_name = _F.TYPE_MESSAGE, "." + _flat(kind)
