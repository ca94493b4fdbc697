"""How a server takes a request: some know no JSON schema, some no `max_completion_tokens`.

Nobody can say beforehand what a compatible server takes, and its refusals have no common form. So until one request has
been answered, a refused one is put in other words; then all others are put as that one was.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavllm_cli.chat.request import Body

REFUSED = (400, 422)  # HTTP statuses of servers that do not take what is in a request
SCHEMA, JSON, TEXT = "a JSON schema", "JSON mode", "plain text"


@dataclass(frozen=True)
class Dialect:
    """One way to put a request.

    Attributes:
        form: how the form of the answer is asked for, beside the words that always say it.
        limit: the key with the greatest length of an answer.
    """

    form: str
    limit: str

    def put(self, body: "Body") -> "Body":
        """A request in this dialect; one that asks for no form of answer never does, and speech has no dialects."""
        spoken = dict(body)
        if "messages" not in spoken:
            return spoken
        if "max_completion_tokens" in spoken:
            spoken[self.limit] = spoken.pop("max_completion_tokens")
        if "response_format" in spoken and self.form == JSON:
            spoken["response_format"] = {"type": "json_object"}
        if self.form == TEXT:
            spoken.pop("response_format", None)
        return spoken

    def __str__(self) -> str:
        return f"{self.form} and {self.limit}"


# The richest first.
DIALECTS = tuple(
    Dialect(form, limit)
    for form, limit in (
        (SCHEMA, "max_completion_tokens"),
        (SCHEMA, "max_tokens"),
        (JSON, "max_completion_tokens"),
        (JSON, "max_tokens"),
        (TEXT, "max_completion_tokens"),
        (TEXT, "max_tokens"),
    )
)


def ways(body: "Body") -> list[Dialect]:
    """The dialects in which a request differs, the richest first."""
    different: list[Dialect] = []
    spoken: list[Body] = []
    for dialect in DIALECTS:
        if (put := dialect.put(body)) not in spoken:
            spoken.append(put)
            different.append(dialect)
    return different
