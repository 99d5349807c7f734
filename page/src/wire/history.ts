import { streamPath } from "./api"
import { request } from "./http"

/** An event as the wire has it, and when it was made. */
export interface Frame {
  readonly id: string
  /** Milliseconds since 1970: the server's for what is history, the page's own for what came live. */
  readonly time: number
  /** Empty for ordinary data. */
  readonly type: string
  readonly data: string
}

/** What a stream has now: the place after it, and whether it is all there will be. */
export interface Tail {
  readonly offset: string
  readonly closed: boolean
}

export async function tailOf(name: string): Promise<Tail> {
  const { headers } = await request(streamPath(name), { method: "HEAD" })
  const offset = headers.get("Stream-Next-Offset") ?? "-1"
  return { offset, closed: headers.get("Stream-Closed") === "true" }
}

/**
 * The frames after `offset` up to `tail`, or to the ending, with the server's times, which an event stream has none
 * of. It ends there: what comes later is for the page's one event connection.
 */
export async function readHistory(
  name: string,
  offset: string,
  tail: Tail,
  signal: AbortSignal,
  take: (frames: Frame[]) => void,
): Promise<void> {
  const query = new URLSearchParams({ view: "ndjson", offset })
  const abort = new AbortController()
  const leave = () => abort.abort()
  signal.addEventListener("abort", leave)
  try {
    const response = await request(`${streamPath(name)}?${query}`, { signal: abort.signal })
    await readLines(response, tail, signal, take)
  } finally {
    signal.removeEventListener("abort", leave)
    leave()
  }
}

async function readLines(
  response: Response,
  tail: Tail,
  signal: AbortSignal,
  take: (frames: Frame[]) => void,
): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let kept = ""
  while (reader !== undefined && !signal.aborted) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (kept + value).split("\n")
    kept = lines.pop() ?? ""
    const frames = lines.filter((line) => line !== "").map(frameOf)
    take(tail.closed ? frames : frames.filter((frame) => frame.id <= tail.offset))
    // Offsets of a stream sort as they were made.
    if (!tail.closed && frames.some((frame) => frame.id >= tail.offset)) return
  }
}

/** One line of the view `ndjson`. Its data stand as they came, where they are JSON. */
export function frameOf(line: string): Frame {
  const { id, time, type, data, ending, reason } = JSON.parse(line) as {
    id: string; time: number; type: string; data?: unknown; ending?: string; reason?: string
  }
  if (type === "end") return { id, time, type, data: JSON.stringify({ ending, reason }) }
  const kind = type === "data" ? "" : type
  if (typeof data === "string" && kind !== "") return { id, time, type: kind, data }
  // Parsed and printed again it would be something else: 1.0 would be 1.
  const raw = line.slice(line.indexOf(',"data":') + 8, -1)
  return { id, time, type: kind, data: raw }
}

/** A frame as it is on the wire of an event stream. */
export function frameText({ id, type, data }: Frame): string {
  const kind = type === "" ? "" : `event: ${type}\n`
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("")
  return `id: ${id}\n${kind}${lines}`
}
