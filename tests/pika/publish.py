"""Publishing with confirms, many unanswered at a time, at a rate or as fast as the broker takes it."""

import time

import pika

import wire

TICK_S = 0.005


class Publisher:
    """Sends messages over one channel. Each is confirmed, refused, returned or, when the connection ends, unknown."""

    def __init__(self, parameters, messages, *, confirms=True, mandatory=False, rate=0.0, window=2000):
        self.parameters, self.messages = parameters, iter(messages)
        self.confirms, self.mandatory, self.rate, self.window = confirms, mandatory, rate, window
        self.sent = self.acked = self.nacked = self.returned = 0
        self.blocked = 0
        self.answered_up_to, self.above = 0, set()
        self.exhausted, self.error = False, None

    def run(self):
        """Sends all of it. Raises RuntimeError when the broker closes the channel or the connection."""
        self.connection = pika.SelectConnection(self.parameters, on_open_callback=self._opened, on_open_error_callback=self._failed,
                                                on_close_callback=self._failed)
        self.connection.add_on_connection_blocked_callback(self._blocked)
        self.connection.ioloop.start()
        if self.error:
            raise RuntimeError(f"{self.error}; {self.books()}")
        return self.books()

    def books(self):
        return {"sent": self.sent, "acked": self.acked, "nacked": self.nacked, "returned": self.returned, "blocked": self.blocked}

    def _opened(self, connection):
        connection.channel(on_open_callback=self._channel)

    def _failed(self, _connection, reason):
        if not self._complete():
            self.error = repr(reason)
        self.connection.ioloop.stop()

    def _blocked(self, _connection, _frame):
        self.blocked += 1

    def _channel(self, channel):
        self.channel = channel
        channel.add_on_close_callback(self._failed)
        channel.add_on_return_callback(self._return)
        if self.confirms:
            channel.confirm_delivery(self._answer, callback=self._begin)
        else:
            self._begin(None)

    def _begin(self, _frame):
        self.began = time.monotonic()
        self._send()

    def _return(self, _channel, _method, _properties, _body):
        self.returned += 1

    def _answer(self, frame):
        method, ack = frame.method, isinstance(frame.method, pika.spec.Basic.Ack)
        tags = range(self.answered_up_to + 1, method.delivery_tag + 1) if method.multiple else [method.delivery_tag]
        fresh = [tag for tag in tags if tag > self.answered_up_to and tag not in self.above]
        self.above.update(fresh)
        while self.answered_up_to + 1 in self.above:
            self.answered_up_to += 1
            self.above.remove(self.answered_up_to)
        if ack:
            self.acked += len(fresh)
        else:
            self.nacked += len(fresh)
        self._end_if_complete()

    def _complete(self):
        return self.exhausted and (not self.confirms or self.acked + self.nacked == self.sent)

    def _end_if_complete(self):
        if self._complete() and not self.connection.is_closing and not self.connection.is_closed:
            self.connection.close()

    def _send(self):
        """What is due by now, then again a tick later."""
        if self.connection.is_closing or self.connection.is_closed or not self.channel.is_open:
            return
        room = self.window - (self.sent - self.acked - self.nacked) if self.confirms else self.window
        due = int((time.monotonic() - self.began) * self.rate) + 1 - self.sent if self.rate else room
        for _ in range(min(room, due)):
            message = next(self.messages, None)
            if message is None:
                self.exhausted = True
                self._end_if_complete()
                return
            exchange, key, properties, body = message
            self.channel.basic_publish(exchange, key, body, wire.properties_of(properties), mandatory=self.mandatory)
            self.sent += 1
        self.connection.ioloop.call_later(TICK_S, self._send)
