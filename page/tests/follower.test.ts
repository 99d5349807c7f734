import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { backoff } from "../src/follow/backoff"
import { Follower } from "../src/follow/follower"
import type { Reader, Wanted } from "../src/follow/places"

/** A server that a test plays: each request it got, and the body that it writes into. */
class Played {
  readonly wanted: Wanted[] = []
  readonly open = new Set<ReadableStreamDefaultController<Uint8Array>>()
  most = 0
  refuse = false
  #last: ReadableStreamDefaultController<Uint8Array> | undefined

  readonly fetch = (_: unknown, init: RequestInit): Promise<Response> => {
    if (this.refuse) return Promise.reject(new TypeError("refused"))
    this.wanted.push(JSON.parse(init.body as string) as Wanted)
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#last = controller
        this.open.add(controller)
        this.most = Math.max(this.most, this.open.size)
        init.signal?.addEventListener("abort", () => {
          this.open.delete(controller)
          controller.error(init.signal?.reason)
        })
      },
    })
    return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }))
  }

  say(text: string): void {
    this.#last?.enqueue(new TextEncoder().encode(text))
  }

  close(): void {
    if (this.#last !== undefined) this.open.delete(this.#last)
    this.#last?.close()
  }
}

const HEAD = 'event: stream\ndata: {"name":"a","generation":"g","offset":"g_0"}\n\n'
const reader = (): Reader & { ids: string[] } => {
  const ids: string[] = []
  return { ids, event: ({ id }) => ids.push(id), end: () => undefined }
}
let server: Played

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal("sessionStorage", undefined)
  server = new Played()
  vi.stubGlobal("fetch", server.fetch)
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe("the follower", () => {
  it("asks once for several readers, and has one connection whatever changes", async () => {
    const follower = new Follower()
    const leave = follower.follow("a", "-1", reader())
    follower.follow("b", "-1", reader())
    await vi.advanceTimersByTimeAsync(50)
    expect(server.wanted.map(({ streams }) => streams.length)).toEqual([2])
    follower.overview(() => undefined)
    leave()
    await vi.advanceTimersByTimeAsync(50)
    expect(server.wanted[1]).toEqual({ streams: [{ name: "b", offset: "-1" }], overview: true })
    expect([server.most, server.open.size]).toEqual([1, 1])
  })

  it("comes back from its place, and says that it is waiting", async () => {
    const follower = new Follower()
    const one = reader()
    follower.follow("a", "-1", one)
    await vi.advanceTimersByTimeAsync(50)
    server.say(`${HEAD}id: g_1\ndata: 1\n\nid: g_2\ndata: 2`)
    await vi.advanceTimersByTimeAsync(0)
    expect(follower.connection.value.state).toBe("live")
    server.close()
    await vi.advanceTimersByTimeAsync(0)
    expect(follower.connection.value.state).toBe("waiting")
    await vi.advanceTimersByTimeAsync(1000)
    // The half-said second event was none.
    expect(server.wanted[1]?.streams).toEqual([{ name: "a", offset: "g_1" }])
    expect(one.ids).toEqual(["g_1"])
    expect(follower.connection.value.state).toBe("live")
  })

  it("keeps trying while the server is away, and hurries when it is told to", async () => {
    const follower = new Follower()
    server.refuse = true
    follower.follow("a", "g_7", reader())
    await vi.advanceTimersByTimeAsync(60_000)
    expect(follower.connection.value.state).toBe("waiting")
    server.refuse = false
    follower.hurry()
    await vi.advanceTimersByTimeAsync(1)
    expect(server.wanted).toEqual([{ streams: [{ name: "a", offset: "g_7" }], overview: false }])
  })

  it("gives up a connection that is silent, and makes another", async () => {
    const follower = new Follower()
    follower.follow("a", "-1", reader())
    await vi.advanceTimersByTimeAsync(50)
    for (let count = 0; count < 4; count += 1) {
      server.say(": ping\n\n")
      await vi.advanceTimersByTimeAsync(30_000)
    }
    expect(server.wanted).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(45_000)
    expect(server.wanted).toHaveLength(2)
  })

  it("waits as long as the server asks it to", async () => {
    const follower = new Follower()
    follower.follow("a", "-1", reader())
    await vi.advanceTimersByTimeAsync(50)
    server.say("retry: 9000\n\n")
    await vi.advanceTimersByTimeAsync(0)
    server.close()
    await vi.advanceTimersByTimeAsync(8900)
    expect(server.wanted).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(200)
    expect(server.wanted).toHaveLength(2)
  })

  it("lets its connection go while nobody looks, unless an answer needs its attention", async () => {
    const follower = new Follower()
    follower.follow("a", "-1", { ...reader(), attends: true })
    follower.follow("b", "-1", reader())
    await vi.advanceTimersByTimeAsync(50)
    follower.rest()
    await vi.advanceTimersByTimeAsync(12_000)
    expect([server.open.size, server.wanted.length]).toEqual([1, 1])
    server.say(`${HEAD}id: g_1\nevent: end\ndata: {"ending":"completed","reason":""}\n\n`)
    await vi.advanceTimersByTimeAsync(0)
    expect([server.open.size, follower.connection.value.state]).toEqual([0, "idle"])
    await vi.advanceTimersByTimeAsync(60_000)
    follower.wake()
    await vi.advanceTimersByTimeAsync(1)
    expect(server.wanted[1]?.streams).toEqual([{ name: "b", offset: "-1" }])
  })

  it("has no connection where there is nothing to follow", async () => {
    const follower = new Follower()
    follower.follow("a", "-1", reader())()
    await vi.advanceTimersByTimeAsync(50)
    expect([server.wanted.length, follower.connection.value.state]).toEqual([0, "idle"])
  })
})

describe("the wait before another attempt", () => {
  it("grows to its limit and is never the same for all", () => {
    expect([0, 1, 3, 50].map((attempt) => backoff(attempt, () => 1))).toEqual([500, 1000, 4000, 15_000])
    expect(backoff(50, () => 0)).toBe(4500)
  })
})
