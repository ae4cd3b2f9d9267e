"""Messages made from a seed: the same arguments give the same messages, on any machine."""

import itertools
import random
import struct
import subprocess



def text(value):
    return {"utf8": value}


def bits(form, value):
    return struct.pack(">" + form, value).hex()


# Every type of header value that RabbitMQ takes, each with its edges. It ends the connection of whoever sends one of NaN.
EDGES = [
    text(""), text("grün"), {"base64": "/wD+"}, {"bytes": text("bytes")}, {"bytes": {"base64": "AP8="}},
    {"bool": True}, {"bool": False}, {"i8": -128}, {"u8": 255}, {"i16": -32768}, {"u16": 65535}, {"i32": -2**31}, {"u32": 2**32 - 1},
    {"i64": -2**63}, {"i64": 2**63 - 1}, {"timestamp": 0}, {"timestamp": 1700000000}, {"decimal": [0, 0]}, {"decimal": [5, 123456789]},
    {"f32_bits": bits("f", 1.5)}, {"f32_bits": "80000000"}, {"f32_bits": "00000001"}, {"f64_bits": bits("d", 0.1)},
    {"f64_bits": bits("d", -1e308)}, {"void": None}, {"array": []}, {"table": []},
    {"array": [{"i32": 1}, text("two"), {"void": None}, {"array": [{"table": [[text("in"), {"bool": True}]]}]}]},
    {"table": [[text("a"), {"table": [[text("b"), {"table": [[text("c"), {"decimal": [2, 314]}]]}]]}], [text("z"), text("last")]]},
]

# The 14 properties beside the headers, each with a value unlike the others'. The user must be who publishes.
EVERY = {
    "content_type": text("application/json"), "content_encoding": text("identity"), "delivery_mode": 2, "priority": 7,
    "correlation_id": text("corrélation"), "reply_to": text("replies"), "expiration": text("3600000"), "message_id": text("m"),
    "timestamp": 1700000001, "type": text("order"), "user_id": text("guest"), "app_id": text("shop"), "cluster_id": text("c1"),
}


class Messages:
    """An endless, repeatable row of messages: routes in turn at random, bodies made up or lines of a file."""

    def __init__(self, seed, routes, lines=None, size=(20, 200), properties="typical", ids=True, persistent=False):
        self.random = random.Random(seed)
        self.seed, self.routes, self.lines, self.size = seed, routes, lines, size
        self.properties, self.ids, self.persistent = properties, ids, persistent

    def make(self, n):
        """Message number n, which must be asked for in order: (exchange, routing key, properties, body)."""
        route = self.random.choice(self.routes)
        key = self.random.choice(route["keys"])
        properties = {"none": self.none, "typical": self.typical, "every": self.every}[self.properties](n)
        if self.ids:
            properties["message_id"] = text(f"{self.seed}-{n}")
        if self.persistent:
            properties["delivery_mode"] = 2
        if "headers" in route:
            properties["headers"] = properties.get("headers", []) + route["headers"]
        return route["exchange"], key, properties, self.body(n)

    def body(self, n):
        if self.lines:
            return self.lines[n % len(self.lines)]
        head = f"{self.seed}-{n} ".encode()
        size = self.random.randint(*self.size)
        return head + self.random.randbytes(max(0, size - len(head)))

    @staticmethod
    def none(_n):
        return {}

    def typical(self, n):
        """What services send: some have headers, some an empty table, some none."""
        properties = {"content_type": text("application/json"), "delivery_mode": self.random.choice([1, 2])}
        if n % 3:
            properties["timestamp"] = 1700000000 + n
            properties["headers"] = [[text("host"), text(f"web{self.random.randrange(20)}")], [text("try"), {"i32": n % 7}]]
        elif n % 2:
            properties["headers"] = []
        return properties

    def every(self, n):
        """Each property in turn alone, then all; each edge in turn, alone and with others."""
        names = list(EVERY)
        picked = n % (len(names) + 2)
        if picked < len(names):
            properties = {names[picked]: EVERY[names[picked]]}
        else:
            properties = dict(EVERY) if picked == len(names) else {}
        if n % 4:
            values = [EDGES[n % len(EDGES)], *self.random.sample(EDGES, self.random.randrange(4))]
            properties["headers"] = [[text(f"h{i}"), value] for i, value in enumerate(values)]
        return properties


def lines_of(path, most):
    """The first lines of a file, decompressed when its name says so."""
    if not path.endswith(".zst"):
        with open(path, "rb") as file:
            return [line.rstrip(b"\n") for line in itertools.islice(file, most)]
    with subprocess.Popen(["zstd", "-dc", path], stdout=subprocess.PIPE) as decompressing:
        lines = [line.rstrip(b"\n") for line in itertools.islice(decompressing.stdout, most)]
        decompressing.kill()
    return lines
