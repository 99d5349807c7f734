"""The routes of the page."""

from __future__ import annotations

from typing import Final

from tailrace.console import assets, follow, login
from tailrace.console.services import ConsoleServices
from tailrace.contracts import Right
from tailrace.web.routing import Route

ROUTES: Final[tuple[Route[ConsoleServices], ...]] = (
    Route("/page", "GET", Right.PUBLIC, assets.page),
    Route("/page", "HEAD", Right.PUBLIC, assets.page),
    Route("/page/", "GET", Right.PUBLIC, assets.page),
    Route("/page/", "HEAD", Right.PUBLIC, assets.page),
    Route("/page/{path*}", "GET", Right.PUBLIC, assets.page),
    Route("/page/{path*}", "HEAD", Right.PUBLIC, assets.page),
    Route("/page/follow", "POST", Right.MANAGE, follow.follow),
    Route("/page/login", "POST", Right.LOGIN, login.log_in),
    Route("/page/logout", "POST", Right.LOGIN, login.log_out),
)
