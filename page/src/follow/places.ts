import type { Note } from "../wire/api"
import type { SseEvent } from "../wire/sse"

/** What a stream says of itself when it begins to be followed. */
export interface StreamHead {
  readonly name: string
  readonly generation: string
  readonly content_type: string
  readonly created: number
  readonly offset: string
  /** What is neither text nor JSON comes so. */
  readonly encoding?: "base64"
}

/** Whoever follows a stream is told these things, in the stream's order. */
export interface Reader {
  /** Whether its reading is what keeps a stream's source going (docs/relay.md, "Leaving"). */
  readonly attends?: boolean
  head?(head: StreamHead): void
  event(event: SseEvent): void
  end(ending: string, reason: string, id: string): void
  /** It cannot be followed: deleted, or not what it was; the server's code says which. */
  gone?(code: string): void
}

export interface Overview {
  readonly time: number
  readonly server: { readonly cpu: number; readonly memory: number; readonly uptime: number }
  readonly streams: readonly OverviewStream[]
  readonly total: { readonly streams: number; readonly bytes: number }
}

export interface OverviewStream {
  readonly name: string
  readonly generation: string
  readonly source: string | null
  readonly content_type: string
  readonly created: number
  readonly events: number
  readonly bytes: number
  readonly viewers: number
  readonly rate: number
  readonly ending: { readonly kind: string; readonly reason: string } | null
  readonly note: Note | null
}

/** What the server is asked for: which streams from which place, and the overview. */
export interface Wanted {
  readonly streams: readonly { readonly name: string; readonly offset: string }[]
  readonly overview: boolean
}

interface Gone {
  readonly name: string
  readonly code?: string
}

/** As many as the server follows in one response. */
const MOST = 64

// What may be otherwise when it is asked again: the store's doing, not the stream's.
const PASSING = /^store_/

interface Place {
  offset: string
  readonly reader: Reader
}

/**
 * A reader is only a place in a stream; these are the page's. What has come moves them, and what
 * they are is all that a new connection needs to know.
 */
export class Places {
  readonly #places = new Map<string, Place>()
  readonly #names = new Map<string, string>()
  readonly #overviews = new Set<(overview: Overview) => void>()

  /** Follow a stream from an offset. A name has one reader: the later one takes its place. */
  follow(name: string, offset: string, reader: Reader): void {
    this.#places.set(name, { offset, reader })
  }

  leave(name: string, reader: Reader): boolean {
    return this.#places.get(name)?.reader === reader && this.#places.delete(name)
  }

  overview(listener: (overview: Overview) => void): void {
    this.#overviews.add(listener)
  }

  leaveOverview(listener: (overview: Overview) => void): void {
    this.#overviews.delete(listener)
  }

  get wanted(): Wanted {
    const streams = [...this.#places].map(([name, { offset }]) => ({ name, offset }))
    return { streams: streams.slice(0, MOST), overview: this.#overviews.size > 0 }
  }

  get attending(): boolean {
    return [...this.#places.values()].some(({ reader }) => reader.attends === true)
  }

  /** Whether more are to be followed than one response has: the others' turn comes later. */
  get crowded(): boolean {
    return this.#places.size > MOST
  }

  /** A new connection: it names its streams anew. */
  begin(): void {
    this.#names.clear()
  }

  take(event: SseEvent): void {
    if (event.type === "stream") this.#head(JSON.parse(event.data) as StreamHead)
    else if (event.type === "gone") this.#gone(JSON.parse(event.data) as Gone)
    else if (event.type === "overview") this.#tell(JSON.parse(event.data) as Overview)
    else this.#event(event)
  }

  #head(head: StreamHead): void {
    const place = this.#places.get(head.name)
    if (place === undefined) return
    this.#names.set(head.generation, head.name)
    place.offset = head.offset
    place.reader.head?.(head)
  }

  #event(event: SseEvent): void {
    const name = this.#names.get(event.id.slice(0, event.id.lastIndexOf("_")))
    const place = name === undefined ? undefined : this.#places.get(name)
    // Left a moment ago: its last events were on their way.
    if (name === undefined || place === undefined) return
    place.offset = event.id
    if (event.type !== "end") {
      place.reader.event(event)
      return
    }
    const { ending, reason } = JSON.parse(event.data) as { ending: string; reason: string }
    this.#places.delete(name)
    place.reader.end(ending, reason, event.id)
  }

  #gone({ name, code = "" }: Gone): void {
    if (PASSING.test(code)) throw new Error(code)
    const place = this.#places.get(name)
    this.#places.delete(name)
    place?.reader.gone?.(code)
  }

  #tell(overview: Overview): void {
    for (const listener of this.#overviews) listener(overview)
  }
}
