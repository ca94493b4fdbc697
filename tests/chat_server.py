"""A server of OpenAI's chat and batch API on loopback that misbehaves on purpose and remembers what it was paid for.

`answer` gets the body of every chat completion request: the string, dict or pydantic model it returns is the message
to give, a `Misbehave` one of the ways in which real servers, proxies and networks fail.
"""

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Event, RLock, Thread
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel


class Misbehave:
    """What goes wrong with a request."""


Answer = str | dict | BaseModel | Misbehave
Answerer = Callable[[dict], Answer]


@dataclass(frozen=True)
class Status(Misbehave):
    """An error of the API, or with `html` of a proxy before it; nothing to pay."""

    code: int
    message: str = "The server had an error."
    type: str | None = None
    error_code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    html: bool = False

    @property
    def body(self) -> dict:
        return {"error": {"message": self.message, "type": self.type, "param": None, "code": self.error_code}}

    def raw(self) -> "Raw":
        data = f"<html>{self.message}</html>" if self.html else json.dumps(self.body)
        return Raw(data.encode(), "text/html" if self.html else "application/json", self.code, self.headers)


@dataclass(frozen=True)
class Raw(Misbehave):
    """These bytes with status 200, such as a captive portal's page; nothing to pay."""

    data: bytes
    content_type: str = "text/html"
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        return self.data.decode()


@dataclass(frozen=True)
class Slow(Misbehave):
    """The content after some seconds, or never if the server closes before; in a batch at once."""

    seconds: float
    content: Answer = "too late"


@dataclass(frozen=True)
class Cut(Misbehave):
    """The content is made (and paid), but the connection breaks before it or in the middle of it; not in a batch."""

    content: Answer = "cut off"
    when: Literal["before", "body"] = "before"


@dataclass(frozen=True)
class Refusal(Misbehave):
    text: str = "I'm sorry, I can't help with that."


@dataclass(frozen=True)
class Truncated(Misbehave):
    """Half of the content: the token limit was reached."""

    content: str | dict | BaseModel


@dataclass(frozen=True)
class Filtered(Misbehave):
    """No content: the filter kept it back."""


# In both helpers `next` is a single step of the interpreter: they need no lock.


def script(*behaviours: Answer, then: Answerer) -> Answerer:
    """These answers to the first calls, one each; later `then`."""
    left = iter(behaviours)
    return lambda body: then(body) if (behaviour := next(left, None)) is None else behaviour


def once_per_request(behaviour: Answer, then: Answerer) -> Answerer:
    """`behaviour` when a body comes for the first time; later `then`."""
    arrivals = defaultdict[str, count](count)
    return lambda body: then(body) if next(arrivals[canonical(body)]) else behaviour


def canonical(body: dict) -> str:
    return json.dumps(body, sort_keys=True)


def text_of(content: object) -> str:
    """The string a message holds: JSON of all that is not a string."""
    if isinstance(content, BaseModel):
        return content.model_dump_json()
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


class Handler(BaseHTTPRequestHandler):
    server: "ChatServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else bodies wait 40 ms for the acknowledgement of their headers

    def respond(self) -> None:
        url = urlsplit(self.path)
        call = (self.command, *url.path.removeprefix("/v1/").split("/"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        size = int(headers.get("content-length", 0))
        if len(data := self.rfile.read(size)) < size:  # the client was killed
            return
        reply, cut = self.server.reply(call, dict(parse_qsl(url.query)), headers, data), None
        while isinstance(reply, Slow | Cut):
            if isinstance(reply, Slow):
                self.server.closing.wait(reply.seconds)
            else:
                cut = reply.when
            reply = reply.content
        if cut or self.server.closing.is_set():  # connections that are kept alive outlive the server
            self.close_connection = True
            if cut != "body":
                return
        if isinstance(reply, Status):
            reply = reply.raw()
        elif isinstance(reply, dict):
            reply = Raw(json.dumps(reply).encode(), "application/json")
        self.send_response(reply.code)
        size = len(reply.data)
        for header in {"Content-Type": reply.content_type, "Content-Length": str(size), **reply.headers}.items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(reply.data[: size // 2] if cut else reply.data)

    do_GET = do_POST = do_DELETE = respond

    def log_message(self, *_) -> None:
        """Nothing on the terminal."""


class ChatServer(ThreadingHTTPServer):
    """Listens at `url` until `close` or the end of `with`; with `key` only to those who send it.

    `requests` are the bodies of all chat completion requests in order, `headers` those of every request (names in
    lower case). `answered` counts the answers to be paid by canonical body and `tokens` sums their usage, whether they
    arrived or not; lines of batches count too. The batch API's switches are read when they matter, not at the start.
    """

    request_queue_size = 128  # the default of 5 makes crowds of clients wait for a second

    def __init__(self, answer: Answerer, key: str | None = None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.answer, self.key = answer, key
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.answered, self.tokens = Counter[str](), Counter[str]()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.uploads = 0
        self.batch_polls = 2  # retrieves that say "in_progress" before the one that ends the batch
        self.cut_batch_create = 0  # so many of the next batches are created, but the client is not told
        self.expire_after: int | None = None  # lines answered before the batch expires
        self.fail_validation: str | None = None  # why the batch fails, and its code
        self.validation_code = "token_limit_exceeded"
        self.shuffle_output = True
        self.lines: dict[str, list[dict]] = {}  # by batch: its file may be deleted before its end
        self.polls = Counter[str]()
        self.lock, self.closing, self.numbers = RLock(), Event(), count(1)
        Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def __exit__(self, *_) -> None:
        self.close()

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients that hang up are part of the game
            super().handle_error(request, client_address)

    def paid_twice(self) -> list[dict]:
        with self.lock:
            return [json.loads(body) for body, times in self.answered.items() if times > 1]

    def reply(self, call: tuple[str, ...], query: dict[str, str], headers: dict[str, str], data: bytes):
        """What to send: a `Status` or `Raw`, a dict as JSON, any of them perhaps `Slow` or `Cut`."""
        body = json.loads(data) if headers.get("content-type") == "application/json" and data else {}
        chat = call == ("POST", "chat", "completions")
        with self.lock:
            self.headers.append(headers)
            self.requests += [body] * chat
        if self.key not in (None, sent := headers.get("authorization", "").removeprefix("Bearer ")):
            message = f"Incorrect API key provided: {sent}."
            return Status(401, message, "invalid_request_error", "invalid_api_key")
        if chat:
            return self.pay(body, self.answer(body))  # without the lock: answers may wait for each other
        with self.lock:
            match call:
                case "POST", "files":
                    return self.upload(headers["content-type"].partition("boundary=")[2].encode(), data)
                case "GET", "files", name, "content" if name in self.files:
                    return Raw(self.files[name], "application/octet-stream")
                case "DELETE", "files", name if self.files.pop(name, None) is not None:
                    return {"id": name, "object": "file", "deleted": True}
                case "POST", "batches" if body["input_file_id"] in self.files:
                    return self.create(body)
                case "GET", "batches":
                    return self.page(int(query.get("limit", 20)), query.get("after"))
                case "GET", "batches", name if name in self.batches:
                    return self.retrieve(self.batches[name])
                case "POST", "batches", name, "cancel" if name in self.batches:
                    return self.cancel(self.batches[name])
        return Status(404, f"Not found: {' '.join(call)}", "invalid_request_error")

    def pay(self, body: dict, answer: Answer):
        """The answer with a completion in place of its content, counted however it will be delivered."""
        if isinstance(answer, Slow | Cut):
            return replace(answer, content=self.pay(body, answer.content))
        if isinstance(answer, Status | Raw):
            return answer
        match answer:
            case Refusal(text):
                content, refusal, finish = None, text, "stop"
            case Truncated(whole):
                content, refusal, finish = text_of(whole)[: len(text_of(whole)) // 2], None, "length"
            case Filtered():
                content, refusal, finish = "", None, "content_filter"
            case _:
                content, refusal, finish = text_of(answer), None, "stop"
        prompt = "".join(text_of(message["content"]) for message in body["messages"])
        sizes = {"prompt_tokens": prompt, "completion_tokens": content or refusal or ""}
        usage = {name: max(1, len(text.encode()) // 4) for name, text in sizes.items()}
        with self.lock:
            self.answered[canonical(body)] += 1
            self.tokens.update(usage)
        message = {"role": "assistant", "content": content, "refusal": refusal}
        return {
            "id": f"chatcmpl-{next(self.numbers)}", "object": "chat.completion", "created": int(time.time()),
            "model": body["model"], "usage": usage | {"total_tokens": sum(usage.values())},
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        }  # fmt: skip

    # --- files and batches: all under the lock ---

    def upload(self, boundary: bytes, form: bytes) -> dict:
        part = next(part for part in form.split(b"--" + boundary) if b'; filename="' in part)
        self.uploads += 1
        name = self.store(part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
        return {
            "id": name, "object": "file", "bytes": len(self.files[name]), "created_at": int(time.time()),
            "filename": "input.jsonl", "purpose": "batch", "status": "processed",
        }  # fmt: skip

    def store(self, data: bytes) -> str:
        name = f"file-{next(self.numbers)}"
        self.files[name] = data
        return name

    def create(self, body: dict):
        name, now = f"batch_{next(self.numbers)}", int(time.time())
        lines = self.lines[name] = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        batch = self.batches[name] = body | {
            "id": name, "object": "batch", "status": "validating", "created_at": now, "expires_at": now + 86_400,
            "errors": None, "output_file_id": None, "error_file_id": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }  # fmt: skip
        if self.cut_batch_create:
            self.cut_batch_create -= 1
            return Cut(batch)
        return dict(batch)

    def page(self, limit: int, after: str | None) -> dict:
        names = list(reversed(self.batches))
        left = names[names.index(after) + 1 :] if after else names
        page = [dict(self.batches[name]) for name in left[:limit]]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": len(left) > limit}

    def move(self, batch: dict, status: str, **fields) -> dict:
        batch |= {"status": status, f"{status}_at": int(time.time()), **fields}
        return dict(batch)

    def retrieve(self, batch: dict) -> dict:
        self.polls[batch["id"]] += 1
        match batch["status"], self.polls[batch["id"]] > self.batch_polls:
            case "cancelling", _:
                return self.move(batch, "cancelled")
            case "validating", False:
                return self.move(batch, "in_progress")
            case "validating" | "in_progress", True:
                return self.finalise(batch)
        return dict(batch)

    def cancel(self, batch: dict):
        """A cancelled batch gets no files here, where OpenAI gives what it answered before."""
        if batch["status"] not in ("validating", "in_progress"):
            return Status(409, f"Cannot cancel a batch with status '{batch['status']}'.", "invalid_request_error")
        return self.move(batch, "cancelling")

    def finalise(self, batch: dict) -> dict:
        if self.fail_validation is not None:
            error = {"code": self.validation_code, "message": self.fail_validation, "line": None, "param": None}
            return self.move(batch, "failed", errors={"object": "list", "data": [error]})
        lines, good, bad = self.lines[batch["id"]], [], []
        message = "This request could not be executed before the completion window expired."
        expired = {"response": None, "error": {"code": "batch_expired", "message": message}}
        for number, line in enumerate(lines):
            late = self.expire_after is not None and number >= self.expire_after
            row = {"id": f"batch_req_{next(self.numbers)}", "custom_id": line["custom_id"]}
            row |= expired if late else self.outcome(line["body"])
            (good if not late and row["response"]["status_code"] == 200 else bad).append(row)
        for kind, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                rows = rows[::-1] if self.shuffle_output else rows
                batch[kind] = self.store("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        counts = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        return self.move(batch, "completed" if self.expire_after is None else "expired", request_counts=counts)

    def outcome(self, body: dict) -> dict:
        reply = self.pay(body, self.answer(body))
        while isinstance(reply, Slow | Cut):
            reply = reply.content
        code, body = (200, reply) if isinstance(reply, dict) else (reply.code, reply.body)
        response = {"status_code": code, "request_id": f"req_{next(self.numbers)}", "body": body}
        return {"response": response, "error": None}
