"""The use "chat", as the contract of a use has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tailrace.chat.answers import Recorder
from tailrace.chat.assembly_room import AssemblyRoom
from tailrace.chat.idempotency import Keys
from tailrace.chat.namespace import NAMESPACE
from tailrace.chat.recover import recover
from tailrace.chat.relay.relay import Relay
from tailrace.chat.relay.relay_request import RelayLimits
from tailrace.chat.routes import ROUTES
from tailrace.chat.services import ChatServices
from tailrace.chat.settings import ChatSettings
from tailrace.chat.upstreams import Opened, check, open_upstreams
from tailrace.config import Loaded
from tailrace.contracts import Observer, Upstreams
from tailrace.log.retention import Bounds
from tailrace.upstream.routing.models import DefaultModel
from tailrace.upstream.routing.router import Router
from tailrace.upstream.routing.upstream_spec import TABLE, parse_upstreams
from tailrace.web.routing import BoundRoute, bind
from tailrace.web.services import Services
from tailrace.web.use import Start, Use


class RunningChat:
    """Chat, with its upstreams open."""

    def __init__(self, services: ChatServices, opened: Opened) -> None:
        self._services = services
        self._opened = opened
        self.routes: Sequence[BoundRoute] = bind(ROUTES, services)

    def summary(self) -> Sequence[tuple[str, str]]:
        """Name the upstreams and the model."""
        upstreams = [("upstream", line) for line in _upstreams(self._opened.router)]
        return [*upstreams, ("model", self._opened.model_in_words)]

    def reload(self, loaded: Loaded) -> Callable[[], str]:
        """Return what has the upstreams of this configuration asked. Raises ConfigError."""
        ask = self._opened.reload(loaded)

        def apply() -> str:
            ask()
            return f"asking {', '.join(target.spec.name for target in self._opened.router.targets)}"

        return apply

    async def stop(self) -> None:
        """Note what is still being counted of answers."""
        await self._services.recorder.close()


def _upstreams(router: Router) -> list[str]:
    """One line each; the only one needs no name."""
    if router.base_url:
        return [router.base_url]
    specs = [target.spec for target in router.targets]
    return [
        f"{spec.name}  {spec.url}  {', '.join([*spec.models, *(a for a, _ in spec.aliases)])}"
        for spec in specs
    ]


def chat_services(
    core: Services,
    settings: ChatSettings,
    upstreams: Upstreams,
    default_model: DefaultModel,
    observer: Observer,
) -> ChatServices:
    """Put together what chat's handlers work with."""
    return ChatServices(
        core=core,
        upstreams=upstreams,
        default_model=default_model.name,
        relay_limits=RelayLimits(
            max_event=settings.max_event,
            stall=settings.viewer_stall,
            content=settings.content_timeout,
        ),
        recorder=Recorder(core.catalogue, observer),
        keys=Keys(core.catalogue),
        disconnect=settings.disconnect,
        keep=settings.unwatched_timeout,
        first_heartbeat=settings.first_heartbeat,
        continues=settings.continue_answers,
        ask_usage=settings.ask_usage,
        max_upload=settings.max_upload,
        assembling=AssemblyRoom(settings.max_assembled),
    )


async def start(given: Start) -> RunningChat:
    """Open the upstreams. Raises ConfigError, UpstreamMissing or LocalModelError."""
    opened = await open_upstreams(given)
    settings = given.loaded.of(ChatSettings)
    services = chat_services(
        given.services, settings, opened.router, opened.default_model, given.observer
    )
    return RunningChat(services, opened)


def _retention(loaded: Loaded) -> Bounds:
    settings = loaded.of(ChatSettings)
    return Bounds(age=settings.retention_age, size=settings.retention_size)


CHAT: Final = Use(
    namespace=NAMESPACE,
    start=start,
    recover={Relay.kind: recover},
    settings=(ChatSettings,),
    arrays={TABLE: parse_upstreams},
    reloads=frozenset({"upstream", "upstream_api_key_env"}),
    retention=_retention,
    check=check,
)
