#!/usr/bin/env python3
"""A second reader of dejaq recordings, written from docs/FORMAT.md alone.

Prints the records of recordings as lines of JSON (section 11), as `dejaq export` does. It goes through the frames, and uses a
footer only to know where the frames end, and who a stream is whose own frame is damaged.

It is a proof of the document, not a tool: slow, and it reads a segment into memory. Needs Python 3.9 and the command `zstd`.
The numbers in parentheses are sections of docs/FORMAT.md.

Exit codes: 0 every record was printed; 3 something is damaged or cut off, what could be read was printed; 1 failed.
"""

import argparse
import base64
import json
import os
import struct
import subprocess
import sys
from collections import namedtuple

MIB = 1 << 20
HEADER_METADATA_MAX = MIB
BODY_MAX = 160 * MIB
VALUE_MAX = 64 * MIB
FOOTER_METADATA_MAX = 256 * MIB
COLUMN_MAX = 144 * MIB
COLUMNS_MAX = 160 * MIB
RECORDS_MAX = 1 << 22
STREAMS_MAX = 1 << 20

MUST_UNDERSTAND = 1
FRAME_HEAD = struct.Struct("<16sHHQIII")
RECORDS, STREAMS, CHECKPOINT, GAP, ATTACHMENT = range(1, 6)
STREAM_TAGS = (10, 12, 13)
FRAME_TAGS = {STREAMS: (*STREAM_TAGS, 11, 60), CHECKPOINT: (20, 60), GAP: (30, 60), ATTACHMENT: (40, 60)}
KINDS = ("none", "create", "append")
FLAGS = (("redelivered", 1), ("possible_duplicate", 2), ("replayed", 4), ("catch_up", 8))


class Damage(Exception):
    """Something that costs the frame, or the stretch, that it is in."""


class Refused(Exception):
    """Something for which nothing of the segment is used."""


def require(holds, what):
    if not holds:
        raise Damage(what)


# ---- integers and checksums (1) ---------------------------------------------------------------------------------------


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = tuple(crc_table())


def crc(data):
    table, state = CRC_TABLE, 0xFFFFFFFF
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state ^ 0xFFFFFFFF


def wrapped(number):
    """As a signed 64-bit integer."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def unzigzag(number):
    return number >> 1 if not number & 1 else -(number >> 1) - 1


class Bytes:
    """Bytes that are taken from the front; taking what is not there is damage."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        require(count <= self.left(), f"{count} bytes expected, {self.left()} are there")
        self.at += count
        return self.data[self.at - count : self.at]

    def fixed(self, width):
        return int.from_bytes(self.take(width), "little")

    def varint(self):
        number = 0
        for shift in range(0, 70, 7):
            byte = self.fixed(1)
            require(shift < 63 or byte <= 1, "a varint of more than 64 bits")
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise Damage("a varint of more than ten bytes")

    def svarint(self):
        return unzigzag(self.varint())

    def end(self):
        require(not self.left(), f"{self.left()} bytes too many")


# ---- metadata (3) -----------------------------------------------------------------------------------------------------


class Value(Bytes):
    """The value of an entry (3.1)."""

    def unsigned(self, width):
        first = self.fixed(1)
        if first < 251:
            return first
        stored = {251: 2, 252: 4, 253: 8}.get(first)
        require(stored and stored <= width, f"byte {first} does not begin an integer of {width} bytes")
        return self.fixed(stored)

    def u16(self):
        return self.unsigned(2)

    def u32(self):
        return self.unsigned(4)

    def u64(self):
        return self.unsigned(8)

    def i32(self):
        return unzigzag(self.u32())

    def i64(self):
        return unzigzag(self.u64())

    def bool(self):
        byte = self.fixed(1)
        require(byte <= 1, f"byte {byte} is no bool")
        return byte == 1

    def uuid(self):
        return bytes(self.take(16))

    def octets(self):
        return bytes(self.take(self.u64()))

    def string(self):
        try:
            return self.octets().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damage(f"a string that is not UTF-8: {error}") from error

    def option(self, read):
        return read() if self.bool() else None

    def vec(self, read):
        count = self.u64()
        require(count <= self.left(), f"{count} elements in {self.left()} bytes")
        return [read() for _ in range(count)]

    def fields(self, *readers):
        return tuple(read() for read in readers)

    def books(self):
        return self.fields(self.u32, self.i64, self.i32, self.u64, self.u64, self.u64, self.u64, self.bool)

    def pair(self):
        return self.fields(self.i64, self.i64)

    def positions(self):
        return self.fields(self.u32, self.i64, self.i64)

    def block_entry(self):
        return self.fields(
            self.u32, self.u64, self.i64, self.i64, lambda: self.option(self.pair), lambda: self.vec(self.positions)
        )

    def frame_entry(self):
        return self.fields(self.u64, self.u16, self.u32, lambda: self.option(self.block_entry))

    def totals(self):
        return self.fields(self.u32, self.u64, self.u64, self.u64, self.i64, self.i64)


Segment = namedtuple("Segment", "recording_id writer_id number sync created_wall_ns created_mono_ns software")
Source = namedtuple("Source", "broker cluster ancestors")
Stream = namedtuple("Stream", "id cluster topic topic_id partition start")
Exchange = namedtuple("Exchange", "id cluster vhost exchange start")
Queue = namedtuple("Queue", "id cluster vhost queue start")
Statistics = namedtuple("Statistics", "frames last_head_crc records bytes_raw streams books recovered")

# The structs of section 3.2, by tag.
STRUCTS = {
    1: lambda v: Segment(v.uuid(), v.uuid(), v.u64(), v.uuid(), v.i64(), v.u64(), v.string()),
    2: lambda v: Source(v.string(), v.string(), v.vec(v.string)),
    3: lambda v: (v.vec(v.string), v.string(), v.u64()),
    4: lambda v: (),
    10: lambda v: Stream(v.u32(), v.string(), v.string(), v.option(v.uuid), v.i32(), v.i64()),
    11: lambda v: v.string(),
    12: lambda v: Exchange(v.u32(), v.string(), v.string(), v.string(), v.i64()),
    13: lambda v: Queue(v.u32(), v.string(), v.string(), v.string(), v.i64()),
    20: lambda v: v.vec(v.books),
    30: lambda v: (
        v.option(v.u32), v.string(), v.option(v.i64), v.option(v.i64), v.option(v.i64), v.option(v.i64),
        v.option(v.u64), v.bool(), v.string(), v.string(),
    ),
    40: lambda v: (v.string(), v.string(), v.octets()),
    50: lambda v: v.vec(v.frame_entry),
    51: lambda v: Statistics(v.u64(), v.u32(), v.u64(), v.u64(), v.vec(v.totals), v.vec(v.books), v.bool()),
    60: lambda v: v.take(4),
}  # fmt: skip


def metadata(data, tags):
    """The entries of a list that have one of `tags`, as (tag, struct)."""
    source, entries = Bytes(data), []
    while source.left():
        tag, flags, length = source.fixed(2), source.fixed(2), source.fixed(4)
        require(length <= VALUE_MAX, f"a value of {length} bytes")
        value = Value(source.take(length))
        if tag in tags:
            entries.append((tag, STRUCTS[tag](value)))
            value.end()
        elif flags & MUST_UNDERSTAND:
            raise Refused(f"tag {tag} must be understood")
    return entries


def checked(body):
    """A body without the crc that ends it."""
    require(len(body) >= 4, "a body without a crc")
    require(crc(body[:-4]) == int.from_bytes(body[-4:], "little"), "the crc of a body is wrong")
    return body[:-4]


# ---- blocks (4) -------------------------------------------------------------------------------------------------------

StreamRow = namedtuple("StreamRow", "stream records first last epoch kinds")
ColumnRow = namedtuple("ColumnRow", "number codec raw stored crc")
BlockHead = namedtuple("BlockHead", "records base streams columns at")
KNOWN_COLUMNS = {0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52}


def stream_row(head):
    stream, records = head.varint(), head.varint()
    require(stream < STREAMS_MAX, f"stream number {stream}")
    require(records > 0, "a stream row without records")
    first = head.svarint()
    last = wrapped(first + head.varint())
    epoch = head.svarint()
    require(-(1 << 31) <= epoch < 1 << 31, f"leader epoch {epoch}")
    for skipped in (head.varint, head.varint, head.svarint, head.varint):
        skipped()
    kinds = head.varint()
    require(0 < kinds < 8, f"kinds {kinds}")
    if kinds & 6:
        head.svarint(), head.varint()
    return StreamRow(stream, records, first, last, epoch, kinds)


def column_row(head, numbers):
    number, flags, codec = head.varint(), head.varint(), head.varint()
    raw, stored, checksum = head.varint(), head.varint(), head.fixed(4)
    require(max(number, flags, codec) < 65536, "a column row of too large numbers")
    require(not numbers or numbers[-1] < number, "column numbers that do not rise")
    numbers.append(number)
    if number not in KNOWN_COLUMNS and flags & MUST_UNDERSTAND:
        raise Refused(f"column {number} must be understood")
    require(raw <= COLUMN_MAX, f"a column of {raw} raw bytes")
    return ColumnRow(number, codec, raw, stored, checksum)


def block_head(body):
    front = Bytes(body)
    durable = front.take(8)
    require(crc(durable) == front.fixed(4), "the crc of the frames durable is wrong")
    length = front.fixed(4)
    data = front.take(length)
    require(crc(length.to_bytes(4, "little") + data) == front.fixed(4), "the crc of a block's head is wrong")
    head = Bytes(data)
    records, _raw, base = head.varint(), head.varint(), head.svarint()
    require(0 < records <= RECORDS_MAX, f"a block of {records} records")
    count = head.varint()
    require(count <= records, f"{count} streams for {records} records")
    streams = [stream_row(head) for _ in range(count)]
    require(sum(row.records for row in streams) == records, "rows whose records do not add up")
    require(len({row.stream for row in streams}) == count, "two rows for a stream")
    count, numbers = head.varint(), []
    columns = [column_row(head, numbers) for _ in range(count)]
    head.end()
    require(sum(row.raw for row in columns) <= COLUMNS_MAX, "columns that are too large together")
    require(sum(row.stored for row in columns) == front.left(), "columns that do not fill the body")
    return BlockHead(records, base, streams, columns, front.at)


def decompressed(data, raw):
    with subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as zstd:
        out, _ = zstd.communicate(data)
    require(zstd.returncode == 0 and len(out) == raw, "a column that does not decompress to its length")
    return out


class Columns:
    def __init__(self, head, body):
        self.records = head.records
        self.raw = {}
        at = head.at
        for row in head.columns:
            stored = body[at : at + row.stored]
            at += row.stored
            require(crc(stored) == row.crc, f"the crc of column {row.number} is wrong")
            if row.number in KNOWN_COLUMNS:
                require(row.codec in (0, 1), f"codec {row.codec}")
                raw = stored if row.codec == 0 else decompressed(stored, row.raw)
                require(len(raw) == row.raw, f"column {row.number} has another length than its row says")
                self.raw[row.number] = raw

    def numbers(self, column, read):
        """One a record, or None where the column is absent."""
        if column not in self.raw:
            return None
        source = Bytes(self.raw[column])
        numbers = [read(source) for _ in range(self.records)]
        source.end()
        return numbers

    def strings(self, base):
        """One a record (4.1, byte strings)."""
        if base not in self.raw:
            return [None] * self.records
        lengths, data, index = Bytes(self.raw[base]), Bytes(self.raw.get(base + 1, b"")), self.numbers(base + 2, Bytes.varint)
        entries = []
        while lengths.left() if index is not None else len(entries) < self.records:
            length = lengths.varint()
            entries.append(bytes(data.take(length - 1)) if length else None)
            require(len(entries) <= self.records, "a dictionary of more entries than records")
        lengths.end()
        data.end()
        if index is None:
            return entries
        require(max(index) <= len(entries), "an index beyond its dictionary")
        return [entries[i - 1] if i else None for i in index]


def header_set(data):
    source, headers = Bytes(data or b""), []
    while source.left():
        name = source.take(source.varint())
        length = source.varint()
        headers.append((name, source.take(length - 1) if length else None))
    return headers


# ---- AMQP properties (4.2) --------------------------------------------------------------------------------------------

DEPTH_MAX = 32
SHORT, TABLE, OCTET, SECONDS = "short", "table", "octet", "seconds"
PROPERTIES = (
    ("content_type", SHORT), ("content_encoding", SHORT), ("headers", TABLE), ("delivery_mode", OCTET), ("priority", OCTET),
    ("correlation_id", SHORT), ("reply_to", SHORT), ("expiration", SHORT), ("message_id", SHORT), ("timestamp", SECONDS),
    ("type", SHORT), ("user_id", SHORT), ("app_id", SHORT), ("cluster_id", SHORT),
)  # fmt: skip
# Letter → name in JSON, bytes, whether signed.
INTEGERS = {
    "b": ("i8", 1, True), "B": ("u8", 1, False), "s": ("i16", 2, True), "u": ("u16", 2, False), "I": ("i32", 4, True),
    "i": ("u32", 4, False), "l": ("i64", 8, True), "T": ("timestamp", 8, False),
}  # fmt: skip


def amqp_value(source, depth):
    """A value as section 11 writes it."""
    letter = chr(source.fixed(1))
    if letter in INTEGERS:
        name, width, signed = INTEGERS[letter]
        return {name: int.from_bytes(source.take(width), "little", signed=signed)}
    if letter == "t":
        byte = source.fixed(1)
        require(byte <= 1, f"byte {byte} is no bool")
        return {"bool": byte == 1}
    if letter in "fd":
        width = {"f": 4, "d": 8}[letter]
        return {f"f{8 * width}_bits": f"{source.fixed(width):0{2 * width}x}"}
    if letter == "D":
        return {"decimal": [source.fixed(1), source.fixed(4)]}
    if letter == "V":
        return {"void": None}
    require(letter in "SxAF", f"type {letter!r}")
    content = source.take(source.fixed(4))
    if letter == "S":
        return octets(content)
    if letter == "x":
        return {"bytes": octets(content)}
    return {"table": table(content, depth + 1)} if letter == "F" else {"array": array(content, depth + 1)}


def table(content, depth):
    require(depth <= DEPTH_MAX, "tables that are too deep")
    source, entries = Bytes(content), []
    while source.left():
        entries.append([octets(source.take(source.fixed(1))), amqp_value(source, depth)])
    return entries


def array(content, depth):
    require(depth <= DEPTH_MAX, "arrays that are too deep")
    source, values = Bytes(content), []
    while source.left():
        values.append(amqp_value(source, depth))
    return values


def properties(data):
    if data is None:
        return None
    source, found = Bytes(data), {}
    present = source.fixed(2)
    require(0 < present < 1 << len(PROPERTIES), f"properties {present:#x}")
    for number, (name, form) in enumerate(PROPERTIES):
        if not present >> number & 1:
            continue
        if form == SHORT:
            found[name] = octets(source.take(source.fixed(1)))
        elif form == TABLE:
            found[name] = table(source.take(source.fixed(4)), 1)
        else:
            found[name] = source.fixed(1 if form == OCTET else 8)
    source.end()
    return found


Record = namedtuple("Record", "stream position epoch arrival kind time flags key headers value routing_key properties")


def rows_of_records(head, columns):
    """The number of the stream row of each record."""
    if 1 not in columns.raw:
        require(len(head.streams) == 1, "no streams column for several streams")
        return [0] * head.records
    rows, source = [], Bytes(columns.raw[1])
    while source.left():
        row, length = source.varint(), source.varint()
        require(row < len(head.streams) and length <= head.records - len(rows), "a run beyond the block")
        rows += [row] * length
    require(len(rows) == head.records, "runs that do not cover the block")
    return rows


def block(body, frame_crc):
    head = block_head(body)
    columns = Columns(head, body)
    require(columns.raw.get(0, frame_crc) == frame_crc, "the body of another frame")
    rows = rows_of_records(head, columns)
    for number, row in enumerate(head.streams):
        require(rows.count(number) == row.records, "a stream's records are not as many as its row says")
    zeros = [0] * head.records
    arrivals = columns.numbers(2, Bytes.svarint) or zeros
    positions = columns.numbers(3, Bytes.svarint) or zeros
    times = columns.numbers(4, Bytes.svarint) or zeros
    kinds = columns.numbers(5, lambda source: source.fixed(1))
    flags = columns.numbers(6, lambda source: source.fixed(1)) or zeros
    keys, sets, values = columns.strings(10), columns.strings(30), columns.strings(40)
    routing_keys, all_properties = columns.strings(20), columns.strings(50)

    arrival, last_position, last_time = head.base, [wrapped(row.first - 1) for row in head.streams], [0] * len(head.streams)
    records = []
    for i, number in enumerate(rows):
        row = head.streams[number]
        arrival = wrapped(arrival + arrivals[i])
        position = wrapped(last_position[number] + positions[i] + 1)
        last_position[number] = position
        time = last_time[number] = wrapped(last_time[number] + times[i])
        if kinds is None:
            require(row.kinds in (1, 2, 4), "no column of kinds for several kinds")
            kind = {1: 0, 2: 1, 4: 2}[row.kinds]
        else:
            kind = kinds[i]
            require(kind <= 2, f"broker time kind {kind}")
        strings = keys[i], header_set(sets[i]), values[i], routing_keys[i], properties(all_properties[i])
        records.append(Record(row.stream, position, row.epoch, arrival, kind, time if kind else None, flags[i], *strings))
    for number, row in enumerate(head.streams):
        require(last_position[number] == row.last, "a stream's last position is not as its row says")
    return records


# ---- segments (2) -----------------------------------------------------------------------------------------------------

Frame = namedtuple("Frame", "kind must number previous crc at body")


class SegmentFile:
    """The header of a segment, and its frames as far as they can be read."""

    def __init__(self, path, warn):
        self.path = path
        self.warn = lambda what: warn(f"{path}: {what}")
        with open(path, "rb") as file:
            self.data = file.read()
        try:
            self.read_header()
        except Damage as damage:
            raise Refused(f"{path}: the header: {damage}") from damage
        except Refused as refused:
            raise Refused(f"{path}: {refused}") from refused

    def read_header(self):
        source = Bytes(self.data)
        require(source.take(8) == b"DEJAQSEG", "no dejaq segment")
        version, flags = source.fixed(2), source.fixed(2)
        if version != 1:
            raise Refused(f"version {version}")
        if flags:
            raise Refused(f"flags {flags:#x}")
        length = source.fixed(4)
        require(length <= HEADER_METADATA_MAX, f"{length} bytes of metadata")
        data = source.take(length)
        end = source.at
        self.crc = source.fixed(4)
        require(crc(self.data[:end]) == self.crc, "its crc is wrong")
        entries = metadata(data, (1, 2, 3, 4))
        tags = [tag for tag, _ in entries]
        require(tags.count(1) == 1 and tags.count(2) == 1, "SEGMENT and SOURCE must be there once each")
        require(tags.count(3) <= 1, "FILTERS twice")
        self.segment, self.source = dict(entries)[1], dict(entries)[2]
        self.frames_from = source.at

    def frames_to(self):
        """Where the frames end: at the footer (2.3), else at the end of the file; and the entries of a footer that is whole."""
        whole = len(self.data)
        if whole < 16:
            return whole, None
        length, checksum, magic = struct.unpack("<II8s", self.data[-16:])
        at = whole - 44 - length
        if magic != b"DEJAQEND" or length > FOOTER_METADATA_MAX or at < self.frames_from:
            return whole, None
        if self.data[at : at + 28] != b"DEJAQFTR" + self.segment.sync + length.to_bytes(4, "little"):
            return whole, None
        try:
            require(crc(self.data[at : whole - 12]) == checksum, "the footer's crc is wrong")
            entries = metadata(self.data[at + 28 : at + 28 + length], (*STREAM_TAGS, 11, 30, 50, 51))
            tags = [tag for tag, _ in entries]
            require(tags.count(50) == 1 and tags.count(51) == 1, "FRAME_INDEX and STATISTICS must be there once each")
            require(all(value.id < STREAMS_MAX for tag, value in entries if tag in STREAM_TAGS), "a stream number that is too large")
        except Damage as damage:
            self.warn(f"the footer: {damage}")
            return at, None
        return at, entries

    def head_at(self, at, end):
        """The frame whose head is at `at`, or None."""
        if at + FRAME_HEAD.size > end or self.data[at : at + 16] != self.segment.sync:
            return None
        _, kind, flags, number, previous, length, checksum = FRAME_HEAD.unpack_from(self.data, at)
        body = at + FRAME_HEAD.size
        if crc(self.data[at : at + 36]) != checksum or length > BODY_MAX or body + length > end:
            return None
        return Frame(kind, flags & MUST_UNDERSTAND, number, previous, checksum, at, self.data[body : body + length])

    def frames(self):
        end, footer = self.frames_to()
        at, expected, previous = self.frames_from, 0, self.crc
        while at < end:
            frame = self.head_at(at, end)
            if frame is None:
                begin, at = at, self.data.find(self.segment.sync, at + 1)
                while 0 <= at < end and self.head_at(at, end) is None:
                    at = self.data.find(self.segment.sync, at + 1)
                at = at if 0 <= at < end else end
                self.warn(f"bytes {begin} to {at} hold no frame")
                continue
            at = frame.at + FRAME_HEAD.size + len(frame.body)
            if frame.number < expected:
                self.warn(f"frame {frame.number} at {frame.at} comes again")
                continue
            if frame.number != expected or frame.previous != previous:
                self.warn(f"frame {frame.number} at {frame.at} is not the one expected after {expected - 1}")
            expected, previous = frame.number + 1, frame.crc
            yield frame
        if footer is None:
            self.warn("it is not sealed")
            return
        statistics = dict(footer)[51]
        if (statistics.frames, statistics.last_head_crc) != (expected, previous):
            self.warn(f"it ends after frame {expected - 1}, its footer says otherwise")

    def read(self):
        """(streams introduced, blocks): all of it before any is used, since something may have to be understood."""
        introduced, blocks = {}, []
        for frame in self.frames():
            try:
                frame_crc = frame.crc.to_bytes(4, "little")
                if frame.kind == RECORDS:
                    blocks.append(block(frame.body, frame_crc))
                elif frame.kind in FRAME_TAGS:
                    entries = metadata(checked(frame.body), FRAME_TAGS[frame.kind])
                    require(all(value == frame_crc for tag, value in entries if tag == 60), "the body of another frame")
                    own = [value for tag, value in entries if tag != 60]
                    require(frame.kind == STREAMS or len(own) == 1, f"{len(own)} entries where one is expected")
                    require(all(value.id < STREAMS_MAX for tag, value in entries if tag in STREAM_TAGS), "a stream number that is too large")
                    for stream in (value for tag, value in entries if tag in STREAM_TAGS):
                        introduced.setdefault(stream.id, stream)
                elif frame.must:
                    raise Refused(f"{self.path}: frame type {frame.kind} must be understood")
                else:
                    checked(frame.body)
            except Damage as damage:
                self.warn(f"frame {frame.number} at {frame.at}: {damage}")
        for tag, value in self.frames_to()[1] or ():
            if tag in STREAM_TAGS:
                introduced.setdefault(value.id, value)
        return introduced, blocks


# ---- recordings (5) and lines (11) ------------------------------------------------------------------------------------


def octets(data):
    if data is None:
        return None
    try:
        return {"utf8": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def lane(stream):
    """The fields that say which stream it is."""
    if isinstance(stream, Stream):
        found = {"topic": stream.topic}
        if stream.topic_id is not None:
            found["topic_id"] = base64.urlsafe_b64encode(stream.topic_id).decode().rstrip("=")
        return found | {"partition": stream.partition, "stream": f"{stream.topic}/{stream.partition}"}
    within = "" if stream.vhost == "/" else f"{stream.vhost}/"
    if isinstance(stream, Exchange):
        return {"vhost": stream.vhost, "exchange": stream.exchange, "stream": within + (stream.exchange or "(default)")}
    return {"vhost": stream.vhost, "queue": stream.queue, "stream": f"{within}queue:{stream.queue}"}


def line(broker, stream, record):
    out = {"broker": broker}
    if stream.cluster:
        out["cluster"] = stream.cluster
    out |= lane(stream)
    out["position"] = record.position
    if record.epoch != -1:
        out["leader_epoch"] = record.epoch
    out |= {"arrival_ns": record.arrival, "broker_ts": record.time, "broker_ts_kind": KINDS[record.kind]}
    if names := [name for name, bit in FLAGS if record.flags & bit]:
        out["flags"] = names
    if record.routing_key is not None:
        out["routing_key"] = octets(record.routing_key)
    if record.properties is not None:
        out["properties"] = record.properties
    out["key"] = octets(record.key)
    out["headers"] = [(octets(name), octets(value)) for name, value in record.headers]
    out["value"] = octets(record.value)
    return json.dumps(out, ensure_ascii=False, separators=(",", ":"))


def print_recording(path, warn, out):
    names = sorted(os.listdir(path)) if os.path.isdir(path) else [None]
    paths = [path] if names == [None] else [os.path.join(path, name) for name in names if name.endswith(".dejaq")]
    if not paths:
        raise Refused(f"{path}: no segments")
    segments = sorted((SegmentFile(path, warn) for path in paths), key=lambda s: (s.segment.writer_id, s.segment.number))
    if len({s.segment.recording_id for s in segments}) > 1:
        raise Refused(f"{path}: segments of several recordings")
    if len({(s.segment.writer_id, s.segment.number) for s in segments}) < len(segments):
        raise Refused(f"{path}: a segment is there twice")
    writer, known, broker = None, {}, segments[0].source.broker
    for segment in segments:
        if segment.segment.writer_id != writer:
            writer, known, expected = segment.segment.writer_id, {}, 0
        if segment.segment.number != expected:
            warn(f"{path}: segment {expected} is missing before {segment.path}")
        expected = segment.segment.number + 1
        introduced, blocks = segment.read()
        known |= introduced
        for record in (record for records in blocks for record in records):
            if record.stream not in known:
                segment.warn(f"stream {record.stream} is not introduced")
            else:
                print(line(broker, known[record.stream], record), file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", help="a recording's directory, or one segment")
    arguments = parser.parse_args()
    warnings = 0

    def warn(what):
        nonlocal warnings
        warnings += 1
        print(f"warning: {what}", file=sys.stderr)

    try:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n", closefd=False) as out:
            print_recording(arguments.recording, warn, out)
    except (Refused, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 3 if warnings else 0


if __name__ == "__main__":
    sys.exit(main())
