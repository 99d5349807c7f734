"""The routes of chat: the article's endpoint, the model APIs, and the rest of them, passed on."""

from __future__ import annotations

from typing import Final

from tailrace.chat import background, create, stored_answers, stream_endpoint
from tailrace.chat.passthrough import pass_on
from tailrace.chat.services import ChatServices
from tailrace.contracts import Right
from tailrace.web.routing import Route
from tailrace.wire.llm.apis import CHAT, RESPONSES

ROUTES: Final[tuple[Route[ChatServices], ...]] = (
    Route("/stream", "GET", Right.ASK, stream_endpoint.ask_by_query),
    Route("/stream", "POST", Right.ASK, stream_endpoint.ask_by_body),
    Route("/v1/models", "GET", Right.ASK, create.list_models),
    Route("/v1/completions", "POST", Right.ASK, create.create_completion),
    Route("/v1/messages", "POST", Right.ASK, create.create_message),
    Route("/v1/chat/completions", "GET", Right.ASK, pass_on),
    Route("/v1/chat/completions", "POST", Right.ASK, create.create_chat_completion),
    Route("/v1/chat/completions/{id}", "GET", Right.ASK, stored_answers.retrieve(CHAT)),
    Route("/v1/chat/completions/{id}", "DELETE", Right.ASK, stored_answers.delete(CHAT)),
    Route("/v1/chat/completions/{id}", "POST", Right.ASK, pass_on),
    Route("/v1/chat/completions/{id}/cancel", "POST", Right.ASK, stored_answers.cancel(CHAT)),
    Route("/v1/responses", "POST", Right.ASK, background.create_response),
    Route("/v1/responses/{id}", "GET", Right.ASK, stored_answers.retrieve(RESPONSES)),
    Route("/v1/responses/{id}", "DELETE", Right.ASK, stored_answers.delete(RESPONSES)),
    Route("/v1/responses/{id}", "POST", Right.ASK, pass_on),
    Route("/v1/responses/{id}/cancel", "POST", Right.ASK, stored_answers.cancel(RESPONSES)),
    Route("/v1/{path*}", "GET", Right.ASK, pass_on),
    Route("/v1/{path*}", "POST", Right.ASK, pass_on),
    Route("/v1/{path*}", "PUT", Right.ASK, pass_on),
    Route("/v1/{path*}", "PATCH", Right.ASK, pass_on),
    Route("/v1/{path*}", "DELETE", Right.ASK, pass_on),
)
