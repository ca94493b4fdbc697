"""Requests by the Batch API: half the price, an answer within a day, and a job file that outlives the process.

One batch of an output is under way at a time. Its job file is written before the batch is created and names a label
that the server keeps with the batch: whenever this process ends, the next one finds what has been paid for.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jiter
from pydantic import BaseModel, ValidationError

from wavllm_cli import console
from wavllm_cli.chat.budget import Budget
from wavllm_cli.chat.cache import Cache
from wavllm_cli.chat.dialects import DIALECTS, REFUSED
from wavllm_cli.chat.live import NOT_AFFORDED, Tally
from wavllm_cli.chat.request import Body, Reply, read_completion
from wavllm_cli.chat.settings import Settings, hopeless, may_pass, message_of, quoted, unreachable, usable_proxy
from wavllm_cli.data.files import write_text
from wavllm_cli.errors import UsageError, WavLLMError, reason

if TYPE_CHECKING:
    from openai.types import Batch

MAX_REQUESTS = 50_000  # a batch's limits
MAX_BYTES = 190_000_000
FRUITLESS_BATCHES = 3  # in a row that answered nothing
RETRIES = 5  # by openai: everything but the creation of a batch may be repeated freely
LOOKS = 3  # for a batch whose creation was not confirmed: it may appear late
SLOWEST_LOOK = 60.0  # seconds between two looks at a batch
LABEL = "wavllm_job"


class Job(BaseModel):
    """The batch under way; without `batch` it may or may not have been created."""

    base_url: str
    label: str
    requests: int
    batch: str | None = None

    def write(self, path: Path) -> None:
        write_text(path, self.model_dump_json(indent=2) + "\n", private=True)


class Response(BaseModel):
    status_code: int = 0
    body: Any = None


class Line(BaseModel):
    """One line of a batch's results."""

    custom_id: str
    response: Response | None = None
    error: Any = None


class StillRunning(Exception):
    """A batch is under way and nobody wants to wait for it; the message says how far it is."""


def fetch(
    bodies: Mapping[str, Body], settings: Settings, cache: Cache, budget: Budget, tally: Tally, job_file: Path
) -> dict[str, str]:
    """As `live.fetch`, by batches.

    Raises:
        StillRunning: with `wait=False`, as long as a batch is under way.
        WavLLMError: the key, the network, or a batch that the server did not accept or somebody cancelled.
    """
    import openai

    run = _Run(bodies, settings, cache, budget, tally, job_file)
    try:
        return run.fetch()
    except openai.APIConnectionError as error:
        raise unreachable(error, settings) from None
    except openai.APIError as error:
        raise hopeless(error, settings) or WavLLMError(f"{settings.address}: {message_of(error)}.") from None


class _Run:
    def __init__(
        self,
        bodies: Mapping[str, Body],
        settings: Settings,
        cache: Cache,
        budget: Budget,
        tally: Tally,
        job_file: Path,
    ):
        from openai import OpenAI

        self.bodies, self.settings, self.cache, self.budget, self.tally = bodies, settings, cache, budget, tally
        self.job_file = job_file
        self.reasons: dict[str, str] = {}  # why a request of the last batch has no reply
        self.rejected: set[str] = set()  # those that another batch would not help
        self.refused: set[str] = set()  # those of the last batch that the server did not take as they were put
        self.dialects = list(DIALECTS)  # the first one is spoken
        self.largest = MAX_REQUESTS
        with usable_proxy():
            self.client = OpenAI(
                api_key=settings.api_key(), base_url=settings.url, timeout=settings.timeout, max_retries=RETRIES
            )

    def fetch(self) -> dict[str, str]:
        if self.job_file.exists():
            self._finish(_read_job(self.job_file, self.settings))
        missing, fruitless = self._missing(self.bodies), 0
        while missing and fruitless < FRUITLESS_BATCHES:
            batch = self.budget.affordable(_first(missing, self.largest, MAX_BYTES), batch=True)
            if not batch:
                return self.reasons | dict.fromkeys(missing, NOT_AFFORDED)
            answered, tried = self._finish(self._submit(batch)), self.largest
            if not answered and self.refused >= batch.keys() and len(self.dialects) > 1:
                self._speak_otherwise()
            else:
                fruitless = 0 if answered or self.largest < tried else fruitless + 1
            missing = self._missing(missing)
        return {key: self.reasons.get(key, "no batch answered it") for key in self.rejected | missing.keys()}

    def _missing(self, bodies: Mapping[str, Body]) -> dict[str, Body]:
        return {k: body for k, body in bodies.items() if k not in self.rejected and self.cache.get(k, body) is None}

    def _speak_otherwise(self) -> None:
        """Nothing of a batch was taken: put the requests in the next dialect."""
        self.rejected -= self.refused
        refused = self.dialects.pop(0)
        console.info(f"{self.settings.address} takes no requests with {refused}: trying {self.dialects[0]}.")

    def _submit(self, bodies: Mapping[str, Body]) -> Job:
        import openai

        job = Job(base_url=self.settings.address, label=uuid.uuid4().hex, requests=len(bodies))
        self.refused = set()
        spoken = {key: self.dialects[0].put(body) for key, body in bodies.items()}
        uploaded = self.client.files.create(file=(f"{job.label}.jsonl", _lines(spoken)), purpose="batch")
        job.write(self.job_file)
        self.budget.begin(job.label, bodies.values(), batch=True)
        self.tally.sent += len(bodies)
        try:
            batch = self.client.with_options(max_retries=0).batches.create(
                input_file_id=uploaded.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={LABEL: job.label},
            )
        except openai.APIStatusError as error:
            if error.status_code < 500:  # the server's own answer, and it is no
                self._forget(job)
            raise
        except openai.APIConnectionError:  # no answer, which does not mean no batch
            return job
        job = job.model_copy(update={"batch": batch.id})
        job.write(self.job_file)
        console.info(f"Batch {batch.id} has {job.requests} requests; {self.job_file} remembers it.")
        return job

    def _finish(self, job: Job) -> int:
        """Wait for a batch and take its answers into the cache; returns how many there were."""
        batch = self._look_up(job)
        if batch is None:
            self._forget(job)
            return 0
        batch = self._wait_for(batch)
        files = [file for file in (batch.output_file_id, batch.error_file_id) if file]
        answered, usd = 0, 0.0
        for line in chain.from_iterable(map(self._download, files)):
            reply = self._keep(line)
            if reply:
                answered, usd = answered + 1, usd + self.budget.cost(reply)
        self.tally.answered += answered
        self._forget(job, usd)
        if batch.status == "cancelled":
            kept = f"its {answered} answers are kept, and the same command asks for the rest"
            raise WavLLMError(f"Batch {batch.id} was cancelled; {kept}.")
        if batch.status == "failed":
            self._take_smaller_ones(batch, job.requests)
        return answered

    def _forget(self, job: Job, usd: float = 0.0) -> None:
        """End a job that cost so much."""
        self.budget.end(job.label, usd)
        self.job_file.unlink()

    def _look_up(self, job: Job) -> "Batch | None":
        """The batch of a job; None where it was never created, and so never paid."""
        import openai

        if job.batch is None:
            for _ in range(LOOKS):
                recent = islice(self.client.batches.list(limit=100), 1000)
                found = next((batch for batch in recent if (batch.metadata or {}).get(LABEL) == job.label), None)
                if found:
                    return found
                time.sleep(self.settings.patience)
            return None
        try:
            return self.client.batches.retrieve(job.batch)
        except openai.NotFoundError:
            raise UsageError(
                f"{job.base_url} knows no batch {job.batch}, which {self.job_file} names: use the key that it was "
                "submitted with, or delete the file to ask everything again."
            ) from None

    def _wait_for(self, batch: "Batch") -> "Batch":
        pause = self.settings.patience
        with console.progress_bar() as bar:
            task = bar.add_task("batch", total=None, note="")
            while batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
                counts = batch.request_counts
                done, total = (counts.completed + counts.failed, counts.total) if counts else (0, None)
                if not self.settings.wait:
                    raise StillRunning(f"Batch {batch.id} is {batch.status}, {done} requests done.")
                bar.update(task, completed=done, total=total or None, note=batch.status)
                time.sleep(pause)
                pause = min(1.5 * pause, SLOWEST_LOOK)
                batch = self.client.batches.retrieve(batch.id)
        return batch

    def _download(self, file: str) -> Iterator["Line"]:
        import openai

        try:
            content = self.client.files.content(file)
        except openai.NotFoundError:
            raise WavLLMError(
                f"The answers of the batch in {self.job_file} are no longer on the server: delete that file, and the "
                "same command asks again."
            ) from None
        for number, line in enumerate(content.content.split(b"\n"), 1):
            if line.strip():
                try:
                    yield Line.model_validate(jiter.from_json(line))
                except ValueError as error:  # as pydantic's are
                    console.warn(f"line {number} of a batch's answers cannot be used: {quoted(reason(error))}.")

    def _keep(self, line: "Line") -> Reply | None:
        """Take one line of a batch's results into the cache; returns it if it is a reply."""
        key, body = line.custom_id, self.bodies.get(line.custom_id)
        status, content = (line.response.status_code, line.response.body or {}) if line.response else (0, {})
        if status == 200:
            try:
                reply = read_completion(content, body or {}, batch=True)
            except ValueError as problem:
                self.reasons[key] = str(problem)
                return None
            self.cache.put(key, body, reply)
            return reply
        error = line.error or (content.get("error") if isinstance(content, dict) else None) or content
        code, said = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
        self.reasons[key] = f"not answered in its batch ({status or code}: {quoted(said)})"
        if status >= 400 and not may_pass(status) and key in self.bodies:
            self.rejected.add(key)
        if status in REFUSED:
            self.refused.add(key)
        return None

    def _take_smaller_ones(self, batch: "Batch", requests: int) -> None:
        """After a batch that did not pass the server's checks: halve it if it was too big, or give up."""
        problems = (batch.errors and batch.errors.data) or []
        if requests > 1 and any(problem.code == "token_limit_exceeded" for problem in problems):
            self.largest = requests // 2
            console.warn(f"{self.settings.address} takes fewer requests at once: {self.largest} are tried.")
            return
        said = "; ".join(quoted(problem.message) for problem in problems[:3]) or "no reason was given"
        raise WavLLMError(f"{self.settings.address} did not accept batch {batch.id}: {said}.")


def _lines(bodies: Mapping[str, Body]) -> bytes:
    """The input file of a batch: requests under their keys, one a line."""
    return b"".join(_line(key, body) for key, body in bodies.items())


def _line(key: str, body: Body) -> bytes:
    line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _first(bodies: Mapping[str, Body], count: int, max_bytes: int) -> dict[str, Body]:
    """The first requests that one batch can hold, at least one."""
    taken: dict[str, Body] = {}
    for key, body in islice(bodies.items(), count):
        max_bytes -= len(_line(key, body))
        if max_bytes < 0 and taken:
            break
        taken[key] = body
    return taken


def _read_job(path: Path, settings: Settings) -> Job:
    try:
        job = Job.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{path} is not a job file of wavllm: delete it to ask everything again.") from error
    if job.base_url != settings.address:
        raise UsageError(
            f"{path} belongs to a batch at {job.base_url}, not {settings.address}: give --base-url accordingly."
        )
    return job
