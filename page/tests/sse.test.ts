import { describe, expect, it } from "vitest"
import { type SseEvent, SseParser } from "../src/wire/sse"

const BODY = new TextEncoder().encode(
  "\uFEFF: a comment\nid: g_1\ndata: first\ndata:  second\n\n" +
    "event: end\r\nid: g_2\r\ndata: {\"ending\":\"completed\"}\r\n\r\n" +
    "data\r\rdata: 你好 🌊\u2028\u0085\n\nid: no\0id\nretry: 1500\nretry: soon\nunknown: x\ndata:x\n\ndata: half",
)
const EVENTS: SseEvent[] = [
  { id: "g_1", type: "", data: "first\n second" },
  { id: "g_2", type: "end", data: '{"ending":"completed"}' },
  { id: "g_2", type: "", data: "" },
  { id: "g_2", type: "", data: "你好 🌊\u2028\u0085" },
  { id: "g_2", type: "", data: "x" },
]

function parsed(...pieces: Uint8Array[]): SseEvent[] {
  const parser = new SseParser()
  return pieces.flatMap((piece) => parser.feed(piece))
}

describe("a body of events", () => {
  it("is parsed as WHATWG HTML says", () => {
    expect(parsed(BODY)).toEqual(EVENTS)
  })

  it("gives the same events wherever it is cut", () => {
    for (let cut = 0; cut <= BODY.length; cut += 1) {
      expect(parsed(BODY.subarray(0, cut), BODY.subarray(cut))).toEqual(EVENTS)
    }
  })

  it("gives the same events byte by byte", () => {
    expect(parsed(...Array.from(BODY, (byte) => Uint8Array.of(byte)))).toEqual(EVENTS)
  })

  it("says how long to wait, in digits only", () => {
    const parser = new SseParser()
    parser.feed(BODY)
    expect(parser.retry).toBe(1500)
  })

  it("does not grow quadratically with a long line", () => {
    const parser = new SseParser()
    const piece = new TextEncoder().encode("x".repeat(1000))
    parser.feed(new TextEncoder().encode("data: "))
    for (let count = 0; count < 2000; count += 1) parser.feed(piece)
    expect(parser.feed(new TextEncoder().encode("\n\n"))[0]?.data).toHaveLength(2_000_000)
  })
})
