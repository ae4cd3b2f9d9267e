"""Properties and header tables as RabbitMQ has them on the wire, every type kept.

pika's own codec forgets what a number was (its width, a float's fraction), so header tables are written and read here; the rest
of the protocol is pika's. A table is the list of [name, value] that `dejaq export` writes: names and strings are {"utf8": ...} or
{"base64": ...}, a value is that or {"i32": 7}, {"table": [...]} and so on. Nothing is sorted, and names may repeat.
"""

import base64
import struct

from pika import data, spec

# JSON name: (letter on the wire, struct format).
FIXED = {"i8": ("b", "b"), "u8": ("B", "B"), "i16": ("s", "h"), "u16": ("u", "H"), "i32": ("I", "i"), "u32": ("i", "I"),
         "i64": ("l", "q"), "timestamp": ("T", "Q")}
BY_LETTER = {letter.encode(): (name, struct.Struct(">" + kind)) for name, (letter, kind) in FIXED.items()}
FLOATS = {"f32_bits": (b"f", 4), "f64_bits": (b"d", 8)}
SHORT = ["content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id", "type", "user_id", "app_id",
         "cluster_id"]
NUMBERS = ["delivery_mode", "priority", "timestamp"]


class Headers(dict):
    """A header table in its bytes. It is a dict for pika's sake, and empty as one."""

    def __init__(self, raw):
        super().__init__()
        self.raw = raw


def to_bytes(shown):
    """The bytes of {"utf8": ...} or {"base64": ...}."""
    return shown["utf8"].encode() if "utf8" in shown else base64.b64decode(shown["base64"])


def shown(raw):
    """Bytes as JSON."""
    try:
        return {"utf8": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def encode_entries(entries):
    """The entries of a table, without its length."""
    out = bytearray()
    for name, value in entries:
        name = to_bytes(name)
        out += struct.pack(">B", len(name)) + name + encode_value(value)
    return bytes(out)


def long(letter, raw):
    return letter + struct.pack(">I", len(raw)) + raw


def encode_value(value):
    (kind, inner), = value.items()
    if kind in FIXED:
        letter, form = FIXED[kind]
        return letter.encode() + struct.pack(">" + form, inner)
    if kind in FLOATS:
        return FLOATS[kind][0] + bytes.fromhex(inner)
    if kind in ("utf8", "base64"):
        return long(b"S", to_bytes(value))
    if kind == "bytes":
        return long(b"x", to_bytes(inner))
    if kind == "table":
        return long(b"F", encode_entries(inner))
    if kind == "array":
        return long(b"A", b"".join(map(encode_value, inner)))
    if kind == "bool":
        return b"t" + struct.pack(">B", inner)
    if kind == "decimal":
        return b"D" + struct.pack(">BI", *inner)
    if kind == "void":
        return b"V"
    raise ValueError(f"{kind} is no type of AMQP")


def decode_entries(raw):
    """The inverse of encode_entries."""
    entries, at = [], 0
    while at < len(raw):
        end = at + 1 + raw[at]
        name = shown(raw[at + 1:end])
        value, at = decode_value(raw, end)
        entries.append([name, value])
    return entries


def decode_value(raw, at):
    letter, at = raw[at:at + 1], at + 1
    if letter in BY_LETTER:
        name, form = BY_LETTER[letter]
        return {name: form.unpack_from(raw, at)[0]}, at + form.size
    for name, (float_letter, size) in FLOATS.items():
        if letter == float_letter:
            return {name: raw[at:at + size].hex()}, at + size
    if letter == b"t":
        return {"bool": raw[at] != 0}, at + 1
    if letter == b"D":
        return {"decimal": list(struct.unpack_from(">BI", raw, at))}, at + 5
    if letter == b"V":
        return {"void": None}, at
    if letter not in b"SxFA":
        raise ValueError(f"a header value of type {letter!r}")
    start = at + 4
    end = start + struct.unpack_from(">I", raw, at)[0]
    inner = raw[start:end]
    if letter == b"S":
        return shown(inner), end
    if letter == b"x":
        return {"bytes": shown(inner)}, end
    if letter == b"F":
        return {"table": decode_entries(inner)}, end
    values, within = [], 0
    while within < len(inner):
        value, within = decode_value(inner, within)
        values.append(value)
    return {"array": values}, end


def properties_of(shown_properties):
    """pika's properties of those in JSON."""
    given = {}
    for name, value in shown_properties.items():
        if name == "headers":
            given[name] = Headers(encode_entries(value))
        else:
            given[name] = to_bytes(value) if name in SHORT else value
    return spec.BasicProperties(**given)


def show_properties(properties):
    """Properties that were received, in JSON; those that are absent are left out."""
    out = {}
    for name in SHORT:
        value = getattr(properties, name)
        if value is not None:
            out[name] = shown(value if isinstance(value, bytes) else value.encode())
    for name in NUMBERS:
        value = getattr(properties, name)
        if value is not None:
            out[name] = value
    if properties.headers is not None:
        out["headers"] = decode_entries(properties.headers.raw)
    return out


def install():
    """Makes pika carry header tables as Headers; its own tables (arguments, the server's properties) stay as they are."""
    encode_theirs, decode_theirs, decode_properties = data.encode_table, data.decode_table, spec.BasicProperties.decode

    def encode_table(pieces, table):
        if not isinstance(table, Headers):
            return encode_theirs(pieces, table)
        pieces.append(struct.pack(">I", len(table.raw)) + table.raw)
        return 4 + len(table.raw)

    def decode_headers(encoded, at):
        end = at + 4 + struct.unpack_from(">I", encoded, at)[0]
        return Headers(bytes(encoded[at + 4:end])), end

    def decode(self, encoded, offset=0):
        data.decode_table = decode_headers
        try:
            return decode_properties(self, encoded, offset)
        finally:
            data.decode_table = decode_theirs

    data.encode_table, spec.BasicProperties.decode = encode_table, decode
