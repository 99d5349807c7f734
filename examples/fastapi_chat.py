"""`uvicorn fastapi_chat:app`, then open /chat/1?prompt=Hi: reload it, open it twice, come back."""

import os

from fastapi import FastAPI, Response
from openai import AsyncOpenAI

from tailrace import Live, Streams

streams = Streams(os.environ.get("STREAMS", "sqlite:chat.db"))
app = FastAPI(lifespan=streams.lifespan)
app.mount("/streams", streams)


@app.get("/chat/{chat_id}")
async def chat(chat_id: str, prompt: str) -> Response:
    async def answer(out: Live) -> None:
        chunks = await AsyncOpenAI().chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], stream=True
        )
        async for chunk in chunks:
            out.write(chunk.choices[0].delta.content or "" if chunk.choices else "")

    return streams.response(await streams.start(f"chat/{chat_id}", answer, exist_ok=True))


@app.delete("/chat/{chat_id}")
async def stop(chat_id: str) -> None:
    await (await streams.get(f"chat/{chat_id}")).close("cancelled", "Stopped by the reader.")
