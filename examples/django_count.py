"""`uvicorn django_count:application`, then open /count/a: reload it, open it twice, come back."""

import asyncio
import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from tailrace import Live, Streams
from tailrace.embed.django import response

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="of an example", ALLOWED_HOSTS=["*"])
streams = Streams(os.environ.get("STREAMS", "sqlite:count.db"))


async def count(request: HttpRequest, name: str) -> HttpResponseBase:
    pace = float(request.GET.get("pace", "1"))

    async def counting(out: Live) -> None:
        for number in range(10):
            out.write(str(number))
            await asyncio.sleep(pace)

    return await response(streams, await streams.start(name, counting, exist_ok=True), request)


urlpatterns = [path("count/<name>", count)]
application = streams.around(get_asgi_application())
