"""The table of docs/views.md, made from the views themselves.

``python -m tests.views.ending_table`` prints it.
"""

from __future__ import annotations

from tailrace.model import Ending, EndingKind
from tailrace.views import make_view
from tailrace.wire.llm.apis import MESSAGES, RESPONSES

VIEWS = ("sse", "text", "ndjson", "openai", "responses", "messages")
TYPES = {"responses": RESPONSES.content_type, "messages": MESSAGES.content_type}
REASON = "why"


def table() -> str:
    """Rows are endings, columns views: the bytes that say it, and whether the body is cut."""
    lines = ["| ending | " + " | ".join(f"`{name}`" for name in VIEWS) + " |"]
    lines.append("|---" * (len(VIEWS) + 1) + "|")
    for kind in EndingKind:
        cells = [cell(name, kind) for name in VIEWS]
        lines.append(f"| **{kind.value}** | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(name: str, kind: EndingKind) -> str:
    """What one view sends, without its offset and time."""
    reason = "" if kind is EndingKind.COMPLETED else REASON
    view = make_view(name, TYPES.get(name, "application/json"))
    closing = view.end("0" * 26, Ending(kind, reason, 1, 0))
    end = "" if closing.whole else "the last chunk is left out"
    lines = [line for line in closing.data.decode().splitlines() if line and line[:3] != "id:"]
    shown = " ⏎ ".join(lines).replace("0" * 26 + "_" + "0" * 15 + "1", "<offset>")
    said = f"`{shown}`" if shown else ""
    return "; ".join(part for part in (said, end) if part) or "the body ends"


if __name__ == "__main__":
    print(table(), end="")
