"""Consuming as a service of production does: own queues, acknowledged."""

import json
import signal
import sys
import time

import pika

import wire

ACKNOWLEDGE_EVERY = 200


class Consumer:
    """Prints every message of some queues as a line, in the order in which it came."""

    def __init__(self, parameters, queues, *, prefetch=1000, offset=None):
        self.queues, self.offset = queues, offset
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=prefetch)
        self.received = self.acknowledged = self.newest = 0
        self.asked_to_end = False

    def run(self, count, timeout_s):
        """Goes on until `count` messages have come, or it is asked to end. Returns whether that happened within the time."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        arguments = {} if self.offset is None else {"x-stream-offset": self.offset}
        self.most = count
        for queue in self.queues:
            self.channel.basic_consume(queue, lambda *message, queue=queue: self._take(queue, *message), arguments=arguments)
        say({"ready": True})
        deadline = time.monotonic() + timeout_s
        while not self._complete() and not self.asked_to_end and time.monotonic() < deadline:
            self.connection.process_data_events(time_limit=0.1)
            self._acknowledge()
            sys.stdout.flush()
        return self._complete() or self.asked_to_end

    def summary(self):
        """What was received, and how many are left in each queue that nobody has."""
        self._acknowledge()
        self.channel.close()
        channel = self.connection.channel()
        left = {queue: channel.queue_declare(queue, passive=True).method.message_count for queue in self.queues}
        self.connection.close()
        return {"received": self.received, "left": left}

    def _complete(self):
        return self.most is not None and self.received >= self.most

    def _end(self, _number, _frame):
        self.asked_to_end = True

    def _take(self, queue, _channel, method, properties, body):
        if self._complete():
            return
        self.received += 1
        self.newest = method.delivery_tag
        line = {"queue": queue, "exchange": method.exchange, "routing_key": wire.shown(method.routing_key.encode()),
                "redelivered": method.redelivered, "properties": wire.show_properties(properties), "value": wire.shown(body)}
        sys.stdout.write(json.dumps(line) + "\n")
        if self.newest - self.acknowledged >= ACKNOWLEDGE_EVERY:
            self._acknowledge()

    def _acknowledge(self):
        if self.newest > self.acknowledged:
            self.channel.basic_ack(self.newest, multiple=True)
            self.acknowledged = self.newest


def say(line):
    print(json.dumps(line), flush=True)
