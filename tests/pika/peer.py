"""The tests' independent RabbitMQ client. What it prints is JSON, one object a line; the last line of a run is its summary.

A message is printed in the layout of `dejaq export`: exchange, routing_key, properties (typed), value.
"""

import argparse
import json
import sys

import pika

import wire
import world
from consume import Consumer, say
from messages import Messages, lines_of
from publish import Publisher
from serve import System


def parameters(url):
    """pika's parameters of an AMQP URL. A stalled peer is not taken for a dead one."""
    given = pika.URLParameters(url)
    given.heartbeat = 120
    given.blocked_connection_timeout = None
    return given


def given_json(text):
    """JSON from an argument, or from the file that @FILE names."""
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as file:
            return json.load(file)
    return json.loads(text)


def topology(args):
    if args.management:
        world.prepare(args.management, args.world)
    if not args.url:
        return {}
    connection = pika.BlockingConnection(parameters(args.url))
    channel = connection.channel()
    (world.remove if args.remove else world.declare)(channel, args.world)
    connection.close()
    return {}


def made(args):
    """The messages that the arguments describe, each printed when it is asked for."""
    lines = lines_of(args.data, args.count) if args.data else None
    row = Messages(args.seed, args.routes, lines, tuple(args.size), args.properties, not args.no_ids, args.persistent)
    for n in range(args.count):
        message = exchange, key, properties, body = row.make(n)
        if args.show:
            line = {"exchange": exchange, "routing_key": wire.shown(key.encode()), "properties": properties, "value": wire.shown(body)}
            sys.stdout.write(json.dumps(line) + "\n")
        yield message


def publish(args):
    return Publisher(parameters(args.url), made(args), confirms=not args.no_confirms, mandatory=args.mandatory, rate=args.rate,
                     window=args.window).run()


def make(args):
    args.show = True
    return {"made": sum(1 for _ in made(args))}


def send(args, properties, body=b"odd"):
    """One message of a kind of its own."""
    return Publisher(parameters(args.url), [(args.exchange, args.routing_key, properties, body)]).run()


def message(args):
    return send(args, args.properties, args.body.encode())


def poison(args):
    """RabbitMQ takes bytes that are no UTF-8 where AMQP says short string."""
    bad = {"base64": "YmFk//4="}
    if args.place == "routing-key":
        args.routing_key = b"bad\xff\xfe"
        return send(args, {})
    return send(args, {"message_id": bad} if args.place == "message-id" else {"headers": [[bad, {"utf8": "v"}]]})


def deep(args):
    """Tables in one another; encoded from the innermost outwards, since no stack is as deep."""
    raw = b""
    for _ in range(args.depth):
        raw = b"\x01t" + wire.long(b"F", raw)
    properties = wire.spec.BasicProperties(headers=wire.Headers(raw))
    wire.properties_of = lambda _shown: properties
    return send(args, None)


def consume(args):
    consumer = Consumer(parameters(args.url), args.queue, prefetch=args.prefetch, offset=given_offset(args.offset))
    complete = consumer.run(args.count, args.timeout)
    summary = consumer.summary()
    if not complete:
        raise TimeoutError(f"not all came: {summary}")
    return summary


def serve(args):
    system = System(parameters(args.url), args.queue, args.exchange, hold_s=args.hold, drop=args.drop, twice=args.twice)
    if not system.run(args.timeout):
        raise TimeoutError(f"nobody ended it: {system.books}")
    return system.books


def given_offset(offset):
    return int(offset) if offset and offset.isdigit() else offset


def depth(args):
    """How many messages a queue has ready, and how many consumers: by AMQP, which does not lag."""
    connection = pika.BlockingConnection(parameters(args.url))
    found = connection.channel().queue_declare(args.queue, passive=True).method
    connection.close()
    return {"ready": found.message_count, "consumers": found.consumer_count}


def api(args):
    return world.api(args.management, args.method, args.path, args.body)


def arguments():
    parser = argparse.ArgumentParser(prog="peer", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")

    def command(run, text, url=True):
        added = commands.add_parser(run.__name__, help=text, description=text)
        added.set_defaults(run=run)
        if url:
            added.add_argument("--url", required=True, help="amqp://user:password@host:port/vhost")
        return added

    made = command(topology, "declares exchanges, queues and bindings, and makes virtual hosts, users and policies", url=False)
    made.add_argument("--url", help="where exchanges, queues and bindings are declared")
    made.add_argument("--management", help="URL of the management API, for vhosts, users and policies")
    made.add_argument("--remove", action="store_true", help="deletes the queues and exchanges instead")
    made.add_argument("world", type=given_json, help="JSON or @FILE: see world.py")

    sent = command(publish, "publishes messages made from a seed")
    sent.add_argument("--mandatory", action="store_true")
    sent.add_argument("--no-confirms", action="store_true")
    sent.add_argument("--rate", type=float, default=0.0, help="messages per second; default: as fast as they are confirmed")
    sent.add_argument("--window", type=int, default=2000, help="so many unconfirmed at a time")
    sent.add_argument("--show", action="store_true", help="prints every message")
    for added in (sent, command(make, "prints what `publish` would send", url=False)):
        added.add_argument("--routes", type=given_json, required=True,
                           help='where to, at random: [{"exchange": "e", "keys": ["a.b"], "headers": [[{"utf8": "k"}, {"utf8": "v"}]]}]')
        added.add_argument("--count", type=int, required=True)
        added.add_argument("--seed", default="1")
        added.add_argument("--data", help="bodies are the lines of this file (.zst: decompressed)")
        added.add_argument("--size", type=int, nargs=2, default=[20, 200], help="else made-up bodies of so many bytes")
        added.add_argument("--properties", choices=["none", "typical", "every"], default="typical")
        added.add_argument("--no-ids", action="store_true", help="no message-id; else SEED-N")
        added.add_argument("--persistent", action="store_true")

    one = command(message, "publishes one message")
    one.add_argument("--properties", type=given_json, default={}, help="as `export` writes them")
    one.add_argument("--body", default="one")
    ill = command(poison, "publishes a message with a short string that is no UTF-8")
    ill.add_argument("--place", choices=["header", "message-id", "routing-key"], default="header")
    nested = command(deep, "publishes a message with header tables in one another")
    nested.add_argument("--depth", type=int, required=True)
    for added in (one, ill, nested):
        added.add_argument("--exchange", required=True)
        added.add_argument("--routing-key", default="")

    took = command(consume, "consumes queues and prints every message; SIGINT ends it")
    took.add_argument("--queue", action="append", required=True)
    took.add_argument("--count", type=int, help="ends after so many")
    took.add_argument("--timeout", type=float, default=150.0, help="fails when the count has not come within so many seconds")
    took.add_argument("--prefetch", type=int, default=1000)
    took.add_argument("--offset", help="of a stream: first, last, next, or a number")

    served = command(serve, "is a system under test: publishes an output for each message of a queue; SIGINT ends it")
    served.add_argument("--queue", required=True)
    served.add_argument("--exchange", required=True, help="where outputs go, with the routing key that their messages had")
    served.add_argument("--hold", type=float, default=0.0, help="so many seconds after the message came")
    served.add_argument("--drop", type=int, default=0, help="every so many messages have no output")
    served.add_argument("--twice", type=int, default=0, help="every so many outputs come twice")
    served.add_argument("--timeout", type=float, default=150.0, help="fails when it is not ended within so many seconds")

    looked = command(depth, "says how many messages and consumers a queue has")
    looked.add_argument("--queue", required=True)

    asked = command(api, "asks the management API and prints what it answers", url=False)
    asked.add_argument("--management", required=True)
    asked.add_argument("method")
    asked.add_argument("path", help="/api/...")
    asked.add_argument("body", type=given_json, nargs="?")
    return parser.parse_args()


def main():
    wire.install()
    args = arguments()
    try:
        summary = args.run(args)
    except (RuntimeError, TimeoutError, world.Refused, pika.exceptions.AMQPError) as error:
        print(f"peer {args.command}: {error!r}", file=sys.stderr)
        return 1
    say({"summary": summary})
    return 0


if __name__ == "__main__":
    sys.exit(main())
