"""Nudges on their way to a worker: messages in Celery's own form, made ready once for each task.

To make one takes Celery half of what the whole hop costs, and all that differs is who is meant. So Celery
writes the first, into a queue in memory; its name and argument are changed in the copies.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid

from celery import Celery
from kombu import Connection

from portal.redis_line import ask, client

# Stand in the first message where every other has its own; base64 and JSON leave them as they are.
TASK_ID = "00000000-0000-4000-8000-000000000000"
IDENT = "the-one-who-is-meant"
OPAQUE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Form:
    """What is the same in every message of one task."""

    def __init__(self, app: Celery, task: str) -> None:
        with Connection("memory://") as nowhere, nowhere.Producer() as producer:
            app.send_task(task, args=(IDENT,), task_id=TASK_ID, producer=producer, retry=False)
            self.queue = str(app.amqp.router.route({}, task)["queue"].name)
            message = producer.channel._get(self.queue)
        self._body = base64.b64decode(message["body"]).decode()
        self._tag = message["properties"]["delivery_tag"]
        message["body"] = ""
        self._envelope = json.dumps(message)

    def filled(self, ident: str) -> str:
        """The message that asks for `ident`, as it lies in the queue. Raises ValueError for what is no id."""
        if not OPAQUE.fullmatch(ident):
            raise ValueError("an id is letters, digits, - and _")
        body = base64.b64encode(self._body.replace(IDENT, ident).encode()).decode()
        text = self._envelope.replace(self._tag, str(uuid.uuid4())).replace(TASK_ID, str(uuid.uuid4()))
        return text.replace(IDENT, ident).replace('"body": ""', f'"body": "{body}"', 1)


class Post:
    """Carries nudges to the broker at `url`, into queues whose keys begin with `prefix`."""

    def __init__(self, app: Celery, url: str, prefix: str) -> None:
        self._app = app
        self._url = url
        self._prefix = prefix
        self._forms: dict[str, Form] = {}
        # A queue in memory is the whole process's: two first messages at once could be taken for each other.
        self._making = threading.Lock()

    def send(self, task: str, ident: str) -> None:
        """Ask a worker to run the task of this name with `ident`. Raises redis.RedisError."""
        form = self._forms.get(task) or self._made(task)
        ask(client(self._url), "LPUSH", self._prefix + form.queue, form.filled(ident))

    def _made(self, task: str) -> Form:
        with self._making:
            if task not in self._forms:
                self._forms[task] = Form(self._app, task)
            return self._forms[task]
