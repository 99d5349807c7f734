import { afterEach, describe, expect, it, vi } from "vitest"
import { ask, pathOf } from "../src/wire/api"
import { frameOf, frameText } from "../src/wire/history"
import { CLASSES, extend, firstTokens, KEPT_SECONDS, medianFirstToken, NO_SERIES } from "../src/views/streams/history"
import type { Overview, OverviewStream } from "../src/follow/places"

describe("a frame of history", () => {
  it("has its data as they came", () => {
    const line = '{"id":"g_1","time":5,"type":"data","data":{"n":1.0,"t":"\\u00e9,\\"data\\":"}}'
    expect(frameOf(line)).toEqual({ id: "g_1", time: 5, type: "", data: '{"n":1.0,"t":"\\u00e9,\\"data\\":"}' })
  })

  it("may be an error, or the ending", () => {
    expect(frameOf('{"id":"g_2","time":5,"type":"error","data":"{}"}')).toMatchObject({ type: "error", data: "{}" })
    expect(frameOf('{"id":"g_3","time":5,"type":"end","ending":"cut","reason":"x"}')).toMatchObject({
      type: "end", data: '{"ending":"cut","reason":"x"}',
    })
  })

  it("is written as the wire has it", () => {
    expect(frameText({ id: "g_1", time: 0, type: "end", data: "a\nb" })).toBe("id: g_1\nevent: end\ndata: a\ndata: b\n")
  })
})

describe("a stream's path", () => {
  it("keeps slashes and nothing else of what a path means", () => {
    expect(pathOf('a b/<i>?#%/"')).toBe("a%20b/%3Ci%3E%3F%23%25/%22")
  })
})

describe("a question", () => {
  afterEach(() => vi.unstubAllGlobals())

  it("can be sent again, and its answer is stopped by nobody's leaving", async () => {
    const sent: Request[] = []
    vi.stubGlobal("fetch", (url: string, options: RequestInit) => {
      sent.push(new Request(new URL(url, "http://tailrace.test"), options))
      return Promise.resolve(Response.json({ stream: "chat/a" }, { status: 202 }))
    })
    expect(await ask("m", [{ role: "user", content: "Hi" }], "k")).toBe("chat/a")
    expect(sent.map((request) => new URL(request.url).pathname)).toEqual(["/v1/chat/completions"])
    const { headers } = sent[0]!
    expect(headers.get("Idempotency-Key")).toBe("k")
    expect(headers.get("Tailrace-Disconnect")).toBe("detach")
    expect(headers.get("Prefer")).toBe("respond-async")
  })
})

const stream = (values: Partial<OverviewStream>): OverviewStream => ({
  name: "chat/a", generation: "g", source: "relay", content_type: "application/json", created: 0,
  events: 0, bytes: 0, viewers: 0, rate: 0, ending: null, note: null, ...values,
})
const overview = (time: number, ...streams: OverviewStream[]): Overview => ({
  time, server: { cpu: 0.5, memory: 7, uptime: 1 }, streams, total: { streams: 1, bytes: 1 },
})

describe("what is drawn", () => {
  it("adds up the answers' rates and everybody's viewers", () => {
    const now = overview(1000, stream({ rate: 3, viewers: 1 }), stream({ name: "log", rate: 50, viewers: 2 }))
    expect(extend(NO_SERIES, now)).toEqual({ time: [1], tokens: [3], viewers: [3], cpu: [50], memory: [7] })
  })

  it("forgets what is older than what is shown", () => {
    let series = NO_SERIES
    for (let second = 0; second < 400; second += 1) series = extend(series, overview(second * 1000))
    expect([series.time.length, series.time[0], series.cpu.length]).toEqual([KEPT_SECONDS, 100, KEPT_SECONDS])
  })

  it("classes the times to first token", () => {
    const streams = [0.04, 0.05, 0.3, 60].map((first_token) => stream({ note: { first_token } }))
    const counts = firstTokens([...streams, stream({})])
    expect([counts[0], counts[3], counts[CLASSES.length], counts.reduce((a, b) => a + b)]).toEqual([2, 1, 1, 4])
    expect(medianFirstToken(streams)).toBe(0.3)
    expect(medianFirstToken([])).toBeUndefined()
  })
})
