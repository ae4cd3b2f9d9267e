#!/usr/bin/env python3
"""Rewrites a tag of real payloads with dejaq and looks at the result with parsers of others: only that tag may differ.

Usage: round_trip.py REWRITE DATA_DIR
  REWRITE   target/debug/examples/rewrite (cargo build -p dejaq-replay --example rewrite)
  DATA_DIR  a directory with wire_formats.ndjson.zst, prom_tsdb_2022b.ndjson.zst and zeek_wrccdc_2018.ndjson.zst

Needs zstdcat, and from PyPI: line-protocol-parser, prometheus-client, opentelemetry-proto, protobuf. Fails when one of them,
or the data, is absent. Exit code 0: every payload that dejaq understood came through.
"""
import base64
import collections
import json
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from line_protocol_parser import parse_line
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

NEW = "rewritten-1"


def remote_write():
    """prometheus/prompb remote.proto and types.proto, as far as remote write 1.0 samples go."""
    file = descriptor_pb2.FileDescriptorProto(name="rw.proto", package="rw", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, field, kind, of in fields:
            repeated = kind == kinds.TYPE_MESSAGE
            made.field.add(name=field, number=number, type=kind, type_name=of,
                           label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL)

    message("Label", (1, "name", kinds.TYPE_STRING, None), (2, "value", kinds.TYPE_STRING, None))
    message("Sample", (1, "value", kinds.TYPE_DOUBLE, None), (2, "timestamp", kinds.TYPE_INT64, None))
    message("TimeSeries", (1, "labels", kinds.TYPE_MESSAGE, ".rw.Label"), (2, "samples", kinds.TYPE_MESSAGE, ".rw.Sample"))
    message("WriteRequest", (1, "timeseries", kinds.TYPE_MESSAGE, ".rw.TimeSeries"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("rw.WriteRequest"))


WriteRequest = remote_write()


def see_remote_write(payload, tag, new):
    request = WriteRequest.FromString(payload)
    for series in request.timeseries:
        for label in series.labels:
            if label.name == tag:
                label.value = new
    return request.SerializeToString(deterministic=True)


def see_otlp_json(payload, tag, new):
    return see_otlp(json_format.Parse(payload, ExportMetricsServiceRequest()).SerializeToString(), tag, new)


def see_otlp(payload, tag, new):
    request = ExportMetricsServiceRequest.FromString(payload)

    def attributes(owner):
        for attribute in owner.attributes:
            kind = attribute.value.WhichOneof("value")
            if attribute.key == tag and kind in ("string_value", "int_value", "bool_value", "double_value"):
                attribute.value.string_value = new

    for resource in request.resource_metrics:
        attributes(resource.resource)
        for scope in resource.scope_metrics:
            attributes(scope.scope)
            for metric in scope.metrics:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    attributes(point)
    return request.SerializeToString(deterministic=True)


def see_json(payload, tag, new):
    document = json.loads(payload, parse_float=str, parse_int=str)

    def walk(at, path):
        if isinstance(at, dict):
            for name, value in at.items():
                step = f"{path}.{name}" if name.replace("_", "a").isalnum() else f"{path}['{name}']"
                at[name] = walk(value, step)
            return at
        if isinstance(at, list):
            return [walk(value, f"{path}[*]") for value in at]
        return new if path == tag and at is not None else at

    return walk(document, "$")


def see_influx(payload, tag, new):
    seen = []
    for line in payload.decode().splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            parsed = parse_line(line)
            seen.append({**parsed, "tags": {k: new if k == tag else v for k, v in parsed["tags"].items()}})
    return seen


def see_prometheus(payload, tag, new):
    families = text_string_to_metric_families(payload.decode())
    return [(s.name, {k: new if k == tag else v for k, v in s.labels.items()}, repr(s.value), s.timestamp) for f in families for s in f.samples]


def see_dogstatsd(payload, tag, new):
    """By the protocol's documentation: fields between |, tags behind #, between commas."""
    seen = []
    for line in payload.decode().split("\n"):
        fields = []
        for field in line.split("|"):
            if field.startswith("#"):
                tags = [t.split(":", 1) for t in field[1:].split(",")]
                field = [[t[0], new] if t[0] == tag and len(t) == 2 else t for t in tags]
            fields.append(field)
        seen.append(fields)
    return seen


SEE = {
    "prometheus-remote-write": see_remote_write, "otlp-protobuf": see_otlp, "otlp-json": see_otlp_json,
    "json": see_json, "influx": see_influx,
    "prometheus-text": see_prometheus, "dogstatsd": see_dogstatsd,
}
OF_CORPUS = {
    "influx_lp": "influx", "dogstatsd": "dogstatsd", "otlp_proto_metrics": "otlp-protobuf", "otlp_json_metrics": "otlp-json",
    "prometheus_text": "prometheus-text",
    "prom_remote_write": "prometheus-remote-write", "json_cnpg_log": "json", "json_cloudsql_log": "json", "json_cloudwatch_metric": "json",
    "json_github_event": "json", "json_nginxplus_status": "json", "json_github_webhook": "json",
}


def payloads(data):
    def lines(name):
        return map(json.loads, subprocess.run(["zstdcat", f"{data}/{name}.ndjson.zst"], check=True, capture_output=True).stdout.splitlines())

    def value(record):
        return base64.b64decode(record["value_b64"]) if "value_b64" in record else record["value"].encode()

    for record in lines("wire_formats"):
        name = record["topic"].split(".")[-1]
        if name in OF_CORPUS:
            yield f"{name}", OF_CORPUS[name], None, value(record)
    for record in lines("prom_tsdb_2022b"):
        yield "prom_tsdb_2022b", "prometheus-remote-write", "instance", value(record)
    for number, record in enumerate(lines("zeek_wrccdc_2018")):
        if number % 20 == 0:
            yield "zeek_wrccdc_2018", "json", "$._path", value(record)


def both_encodings(asked, answers, wrong):
    """The same ten exports of a redis receiver are there in both of OTLP's encodings: rewritten, they must still be the same."""
    seen = collections.defaultdict(list)
    for (name, form, tag, _), answer in zip(asked, map(json.loads, answers), strict=True):
        if form in ("otlp-protobuf", "otlp-json") and "value" in answer and answer["tag"] == "redis.version":
            seen[form].append(SEE[form](base64.b64decode(answer["value"]), None, None))
    same = seen["otlp-protobuf"] == seen["otlp-json"]
    print(f"redis receiver, rewritten: {len(seen['otlp-protobuf'])} exports as protobuf, {len(seen['otlp-json'])} as JSON, equal: {same}")
    if not same or not seen["otlp-json"]:
        wrong.append(("redis receiver", "the encodings differ"))


def main():
    rewrite, data = sys.argv[1:3]
    asked = list(payloads(data))
    text = "".join(json.dumps({"format": f, "tag": t, "value": base64.b64encode(v).decode()}) + "\n" for _, f, t, v in asked)
    answers = subprocess.run([rewrite], input=text, text=True, check=True, capture_output=True).stdout.splitlines()
    good, refused, wrong = collections.Counter(), collections.defaultdict(collections.Counter), []
    for (name, form, _, payload), answer in zip(asked, map(json.loads, answers), strict=True):
        if "error" in answer:
            refused[name][answer["error"][:80]] += 1
            continue
        changed, same, tag = base64.b64decode(answer["value"]), base64.b64decode(answer["same"]), answer["tag"]
        see = SEE[form]
        try:
            fine = same == payload and changed != payload and see(payload, tag, NEW) == see(changed, tag, NEW) == see(changed, None, None)
        except Exception as error:  # whatever an independent parser says of it
            fine, tag = False, f"{tag}: {error!r}"
        if fine:
            good[name] += 1
        else:
            wrong.append((name, tag))
    both_encodings(asked, answers, wrong)
    for name in sorted(set(good) | set(refused)):
        print(f"{name}: {good[name]} came through; not understood: {dict(refused[name])}")
    print(f"{len(wrong)} wrong: {wrong[:5]}")
    sys.exit(bool(wrong) or not good)


if __name__ == "__main__":
    main()
