"""Runs real Celery behind a pipe: `python celery_process.py` reads one JSON command a line and answers one a line.

Nothing of Leveret is imported here: what comes out is what a Celery worker makes of the bytes.
"""

import base64
import json
import sys

import celery
from celery.app.trace import build_tracer
from celery.worker.request import Request
from kombu import serialization
from kombu.compression import compress
from kombu.message import Message

app = celery.Celery("interop", broker="memory://", backend="cache+memory://", set_as_current=True)
app.conf.update(accept_content=["json", "msgpack", "yaml"], timezone="UTC", result_extended=False)


@app.task(name="interop.echo", bind=True)
def echo(self, *args, **kwargs):
    return [list(args), kwargs]


@app.task(name="interop.fail")
def fail(*args):
    raise ValueError(*args)


@app.task(name="interop.other")
def other(*args, **kwargs):
    return None


def to_message(wire):
    return Message(
        body=base64.b64decode(wire["body"]),
        content_type=wire["content_type"],
        content_encoding=wire["content_encoding"],
        headers=wire["headers"],
        properties={"correlation_id": wire["headers"].get("id"), "reply_to": wire.get("reply_to") or ""},
        delivery_info={"exchange": "", "routing_key": "q"},
        accept=[serialization.registry.name_to_type.get(name, name) for name in app.conf.accept_content],
    )


def to_request(wire):
    """What `celery.worker.strategy` does with a v2 message."""
    message = to_message(wire)
    return Request(message, app=app, hostname="w@h", headers=message.headers, body=message.body)


def describe(request):
    args, kwargs, embed = request._payload if hasattr(request, "_payload") else request._Request__payload
    iso = lambda moment: moment and moment.isoformat()  # noqa: E731
    return {
        "id": request.id,
        "task": request.type,
        "eta": iso(request.eta),
        "expires": iso(request.expires),
        "time_limits": list(request.time_limits),
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "group": request.request_dict.get("group"),
        "group_index": request.request_dict.get("group_index"),
        "retries": request.request_dict.get("retries", 0),
        "ignore_result": request.request_dict.get("ignore_result"),
        "shadow": request.request_dict.get("shadow"),
        "stamps": request.request_dict.get("stamps"),
        "args": repr(args),
        "kwargs": repr(kwargs),
        "embed": json.loads(serialization.dumps(embed or {}, serializer="json")[2]),
    }


def read(wire):
    return describe(to_request(wire))


def run(wire):
    """Trace the task as a worker's pool process does; answer the document Celery's backend stores and the
    echo's arguments as a new Celery message."""
    request = to_request(wire)
    task = app.tasks[request.type]
    args, kwargs, embed = request._Request__payload
    context = dict(request.request_dict, args=args, kwargs=kwargs, is_eager=False, **(embed or {}))
    tracer = build_tracer(task.name, task, app=app, propagate=False)
    task.backend.forget(request.id)  # a SUCCESS is never overwritten
    result = tracer(request.id, args, kwargs, context)
    document = task.backend.get(task.backend.get_key_for_task(request.id))
    document = document if isinstance(document, bytes) else document.encode()
    return {
        "failed": result.info is not None and result.info.state == "FAILURE",
        "document": base64.b64encode(document).decode(),
        "message": build({"task": request.type, "id": request.id, "args": args, "kwargs": kwargs}),
    }


def build(call):
    """A message as `send_task` makes it."""
    options = {name: value for name, value in call.items() if name not in ("task", "id", "args", "kwargs", "send")}
    message = app.amqp.as_task_v2(call["id"], call["task"], call["args"], call["kwargs"], **options)
    send = call.get("send", {})
    content_type, encoding, body = serialization.dumps(message.body, send.get("serializer", "json"))
    headers = dict(message.headers, **send.get("headers", {}))
    body = body.encode() if isinstance(body, str) else body
    if send.get("compression"):
        body, headers["compression"] = compress(body, send["compression"])
    return {
        "headers": headers,
        "body": base64.b64encode(body).decode(),
        "content_type": content_type,
        "content_encoding": encoding,
        "reply_to": message.properties["reply_to"],
    }


def build_v1(call):
    message = app.amqp.as_task_v1(call["id"], call["task"], call["args"], call["kwargs"], **call.get("options", {}))
    _, _, body = serialization.dumps(message.body, "json")
    return {
        "headers": message.headers,
        "body": base64.b64encode(body.encode()).decode(),
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "reply_to": "",
    }


def read_result(document):
    """What `AsyncResult` makes of a stored document."""
    backend = app.backend
    meta = backend.meta_from_decoded(backend.decode_result(base64.b64decode(document)))
    return {
        "status": meta["status"],
        "result": repr(meta["result"]),
        "exception": type(meta["result"]).__name__ if isinstance(meta["result"], BaseException) else None,
        "date_done": meta["date_done"],
        "traceback": meta["traceback"],
        "task_id": meta["task_id"],
    }


COMMANDS = {"read": read, "run": run, "build": build, "build_v1": build_v1, "read_result": read_result}


def main():
    for line in sys.stdin:
        command, argument = json.loads(line)
        try:
            answer = {"ok": COMMANDS[command](argument)}
        except Exception as error:  # the test on the other side wants to see it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
