import { json, request, requestJson } from "./http"

/** A stream as GET /streams describes it. */
export interface ListedStream {
  readonly name: string
  readonly content_type: string
  readonly created: number
  readonly source: string | null
  readonly events: number
  readonly bytes: number
  readonly offset: string
  readonly ending: { readonly kind: string; readonly reason: string } | null
  readonly note?: Note
}

/** What a relayed answer's stream is noted with; see docs/relay.md, "Usage and times". */
export interface Note {
  readonly model?: string
  readonly first_token?: number | null
  readonly between_tokens?: number | null
  readonly tokens?: { readonly input: number; readonly output: number; readonly estimated: boolean } | null
}

export interface Message {
  readonly role: "user" | "assistant"
  readonly content: string
}

/** The path of a stream. A name's slashes are the path's own; all else in it is not. */
export function streamPath(name: string): string {
  return `/streams/${pathOf(name)}`
}

export function pathOf(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/")
}

export async function listStreams(prefix: string, limit: number): Promise<readonly ListedStream[]> {
  const query = new URLSearchParams({ prefix, limit: String(limit) })
  const body = (await requestJson(`/streams?${query}`)) as { streams: ListedStream[] }
  return body.streams
}

/** How one stream is listed; undefined where there is none of that name. */
export async function describeStream(name: string): Promise<ListedStream | undefined> {
  // A prefix finds longer names as well; the page of ten is for these.
  return (await listStreams(name, 10)).find((stream) => stream.name === name)
}

export async function listModels(): Promise<readonly string[]> {
  const body = (await requestJson("/v1/models")) as { data?: { id: string }[] }
  return (body.data ?? []).map((model) => model.id)
}

/** The values of a JSON stream, as far as one answer reaches: what a list needs of it. */
export async function firstValues(name: string): Promise<readonly unknown[]> {
  return (await requestJson(`${streamPath(name)}?offset=-1`)) as unknown[]
}

export async function makeJsonStream(name: string): Promise<void> {
  await request(streamPath(name), { method: "PUT", headers: { "Content-Type": "application/json" } })
}

/** Append a value; the place after it. `keepalive`: it arrives even if the tab is closed now. */
export async function append(name: string, value: unknown): Promise<string> {
  const response = await request(streamPath(name), { ...json("POST", value), keepalive: true })
  return response.headers.get("Stream-Next-Offset") ?? ""
}

/** Stop what fills the stream, or close it. */
export async function stopStream(name: string): Promise<void> {
  await request(streamPath(name), { method: "POST", headers: { "Stream-Closed": "true" } })
}

export async function deleteStream(name: string): Promise<void> {
  await request(streamPath(name), { method: "DELETE" })
}

/**
 * Ask the model; the name of the stream that the answer is. The same key never asks twice. The
 * answer runs to its end, or until it is stopped: a closed tab can be opened again.
 */
export async function ask(model: string, messages: readonly Message[], key: string): Promise<string> {
  const headers = {
    Prefer: "respond-async",
    "Idempotency-Key": key,
    "Tailrace-Disconnect": "detach",
  }
  const body = { ...(model === "" ? {} : { model }), messages, stream: true }
  const accepted = (await requestJson("/v1/chat/completions", json("POST", body, headers))) as {
    stream: string
  }
  return accepted.stream
}
