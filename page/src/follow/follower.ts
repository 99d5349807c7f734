import { signal } from "@preact/signals"
import { request } from "../wire/http"
import { type SseEvent, SseParser } from "../wire/sse"
import { backoff } from "./backoff"
import { type Overview, Places, type Reader } from "./places"

/** How the page's one connection is. */
export type Connection =
  | { readonly state: "idle" | "connecting" | "live" }
  | { readonly state: "waiting"; readonly until: number; readonly why: string }

// Several readers come and go when a view changes: one new connection is enough for them all.
const GATHER_MS = 15
// The server says something every 15 s; two of these lost, and the connection is dead, whatever
// the operating system believes of it: a laptop that slept, a network that changed.
const SILENCE_MS = 40_000
// A connection that lived this long was no failure: the next one is the first attempt again.
const PROVEN_MS = 5_000
// Whoever looks at another tab for a moment comes back to a page that is live.
const REST_MS = 10_000

/**
 * The page's only event connection. HTTP/1.1 allows six to a host, for all tabs together: a page
 * with one for each stream would leave none for the question. To follow something else it is given
 * up and made anew from the places that the readers have.
 */
export class Follower {
  readonly connection = signal<Connection>({ state: "idle" })
  readonly #places = new Places()
  #abort: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #attempt = 0
  #hidden: ReturnType<typeof setTimeout> | undefined
  #resting = false

  /** Follow from an offset (-1: the start); what is returned leaves again. */
  follow(name: string, offset: string, reader: Reader): () => void {
    this.#places.follow(name, offset, reader)
    this.#change()
    return () => {
      if (this.#places.leave(name, reader)) this.#change()
    }
  }

  overview(listener: (overview: Overview) => void): () => void {
    this.#places.overview(listener)
    this.#change()
    return () => {
      this.#places.leaveOverview(listener)
      this.#change()
    }
  }

  /**
   * Nobody looks at this tab. It lets its connection go, so that six tabs do not lock the seventh
   * out, unless it attends to an answer, which goes on for as long as somebody does.
   */
  rest(): void {
    clearTimeout(this.#hidden)
    this.#hidden = setTimeout(() => {
      this.#resting = true
      this.#restUnlessAttending()
    }, REST_MS)
  }

  /** Somebody looks again. */
  wake(): void {
    clearTimeout(this.#hidden)
    this.#resting = false
    if (this.#abort === undefined) this.#schedule(0)
  }

  /** Try now instead of when the wait is over: the network is back, or somebody looks again. */
  hurry(): void {
    if (this.connection.value.state === "waiting") this.#schedule(0)
  }

  #change(): void {
    // While it waits for a server that is gone, another wish is no reason to ask it sooner.
    if (this.connection.value.state === "waiting") return
    // At once, so that its socket is free when the next one is wanted.
    this.#abort?.abort()
    this.#abort = undefined
    this.#schedule(GATHER_MS)
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#connect(), ms)
  }

  async #connect(): Promise<void> {
    this.#abort?.abort()
    const abort = (this.#abort = new AbortController())
    const wanted = this.#places.wanted
    if (this.#restUnlessAttending()) return
    if (wanted.streams.length === 0 && !wanted.overview) {
      this.connection.value = { state: "idle" }
      return
    }
    if (this.connection.value.state !== "live") this.connection.value = { state: "connecting" }
    const began = Date.now()
    let why = ""
    const parser = new SseParser()
    try {
      await this.#read(abort, parser)
    } catch (error) {
      why = error instanceof Error ? error.message : String(error)
    }
    // Aborted by a later connect: that one has the word.
    if (this.#abort === abort) this.#ended(why, Date.now() - began, parser.retry)
  }

  async #read(abort: AbortController, parser: SseParser): Promise<void> {
    const watch = new Watch(abort)
    try {
      const response = await request("/page/follow", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
        body: JSON.stringify(this.#places.wanted),
        signal: abort.signal,
      })
      if (response.body === null) return
      this.connection.value = { state: "live" }
      this.#places.begin()
      const reader = response.body.getReader()
      for (;;) {
        watch.wind()
        const { done, value } = await reader.read()
        if (done || abort.signal.aborted) return
        for (const event of parser.feed(value)) this.#take(event)
      }
    } finally {
      watch.stop()
    }
  }

  #restUnlessAttending(): boolean {
    if (!this.#resting || this.#places.attending) return false
    this.#abort?.abort()
    this.#abort = undefined
    clearTimeout(this.#timer)
    this.connection.value = { state: "idle" }
    return true
  }

  #take(event: SseEvent): void {
    const crowded = this.#places.crowded
    this.#places.take(event)
    // One has ended, so there is room for one that had to wait.
    if (crowded && event.type === "end") this.#change()
    this.#restUnlessAttending()
  }

  #ended(why: string, lived: number, retry: number | undefined): void {
    const wanted = this.#places.wanted
    this.#abort = undefined
    if (wanted.streams.length === 0 && !wanted.overview) {
      this.connection.value = { state: "idle" }
      return
    }
    if (lived > PROVEN_MS) this.#attempt = 0
    const wait = Math.max(backoff(this.#attempt++), retry ?? 0)
    this.connection.value = { state: "waiting", until: Date.now() + wait, why }
    this.#schedule(wait)
  }
}

/** Gives a connection up that has been silent for too long. */
class Watch {
  #timer: ReturnType<typeof setTimeout> | undefined
  constructor(readonly abort: AbortController) {}

  wind(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.abort.abort(new Error("silence")), SILENCE_MS)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
