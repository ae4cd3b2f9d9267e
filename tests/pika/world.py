"""What stands at a node before a test: virtual hosts, users, policies by the management API; exchanges, queues, bindings by AMQP."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_S = 60


class Refused(Exception):
    """The management API said no; the text says what it answered."""


def api(url, method, path, body=None):
    """Asks the management API, whose URL may hold user and password, and returns its JSON, or None."""
    parts = urllib.parse.urlsplit(url)
    credentials = f"{urllib.parse.unquote(parts.username or 'guest')}:{urllib.parse.unquote(parts.password or 'guest')}"
    port = f":{parts.port}" if parts.port else ""
    request = urllib.request.Request(f"{parts.scheme}://{parts.hostname}{port}{path}", method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise Refused(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
    return json.loads(content) if content else None


def name(text):
    return urllib.parse.quote(text, safe="")


def prepare(url, world):
    """The parts of a world that only the management API makes: {"vhosts": [...], "users": [{name, password, tags,
    permissions: {vhost: [configure, write, read]}}], "policies": [{vhost, name, pattern, definition, ...}]}."""
    for vhost in world.get("vhosts", []):
        api(url, "PUT", f"/api/vhosts/{name(vhost)}", {})
        api(url, "PUT", f"/api/permissions/{name(vhost)}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
    for user in world.get("users", []):
        api(url, "PUT", f"/api/users/{name(user['name'])}", {"password": user["password"], "tags": user.get("tags", "")})
        for vhost, (configure, write, read) in user.get("permissions", {}).items():
            rights = {"configure": configure, "write": write, "read": read}
            api(url, "PUT", f"/api/permissions/{name(vhost)}/{name(user['name'])}", rights)
    for policy in world.get("policies", []):
        definition = {"priority": 0, "apply-to": "all", **policy}
        api(url, "PUT", f"/api/policies/{name(definition.pop('vhost'))}/{name(definition.pop('name'))}", definition)


def declare(channel, world):
    """Exchanges, queues and bindings, each as AMQP's method takes it."""
    for exchange in world.get("exchanges", []):
        channel.exchange_declare(exchange["name"], exchange.get("type", "topic"), durable=exchange.get("durable", True),
                                 auto_delete=exchange.get("auto_delete", False), internal=exchange.get("internal", False),
                                 arguments=exchange.get("arguments"))
    for queue in world.get("queues", []):
        channel.queue_declare(queue["name"], durable=queue.get("durable", True), arguments=queue.get("arguments"))
    for binding in world.get("bindings", []):
        source, to, key = binding["source"], binding["destination"], binding.get("routing_key", "")
        if binding.get("destination_type", "queue") == "queue":
            channel.queue_bind(to, source, key, binding.get("arguments"))
        else:
            channel.exchange_bind(to, source, key, binding.get("arguments"))


def remove(channel, world):
    """The inverse of `declare`."""
    for queue in world.get("queues", []):
        channel.queue_delete(queue["name"])
    for exchange in world.get("exchanges", []):
        channel.exchange_delete(exchange["name"])
