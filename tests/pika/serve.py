"""A system under test: consumes a queue, and publishes an output for each message after a while, with its id as the correlation id.
A message is acknowledged when that is done."""

import signal
import time

import pika

from consume import say


class System:
    """Answers each message `hold_s` after it came; none of every `drop`-th, and two of every `twice`-th that is left."""

    def __init__(self, parameters, queue, exchange, *, hold_s=0.0, drop=0, twice=0, prefetch=2000):
        self.exchange, self.hold_s, self.drop, self.twice = exchange, hold_s, drop, twice
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=prefetch)
        self.books = {"received": 0, "answered": 0, "dropped": 0, "twice": 0}
        self.asked_to_end = False
        self.channel.basic_consume(queue, self._take)

    def run(self, timeout_s):
        """Goes on until it is asked to end. Returns whether it was within the time."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        say({"ready": True})
        deadline = time.monotonic() + timeout_s
        while not self.asked_to_end and time.monotonic() < deadline:
            self.connection.process_data_events(time_limit=0.1)
        self.connection.close()
        return self.asked_to_end

    def _end(self, _number, _frame):
        self.asked_to_end = True

    def _take(self, channel, method, properties, body):
        self.books["received"] += 1
        if self.drop and self.books["received"] % self.drop == 0:
            self.books["dropped"] += 1
            channel.basic_ack(method.delivery_tag)
            return
        self.connection.call_later(self.hold_s, lambda: self._answer(method, properties.message_id, body))

    def _answer(self, method, message_id, body):
        self.books["answered"] += 1
        copies = 1
        if self.twice and self.books["answered"] % self.twice == 0:
            self.books["twice"] += 1
            copies = 2
        for _ in range(copies):
            self.channel.basic_publish(self.exchange, method.routing_key, body, pika.BasicProperties(correlation_id=message_id))
        self.channel.basic_ack(method.delivery_tag)
