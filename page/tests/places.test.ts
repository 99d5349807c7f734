import { describe, expect, it } from "vitest"
import { Places, type Reader } from "../src/follow/places"
import type { SseEvent } from "../src/wire/sse"

class Heard implements Reader {
  readonly events: SseEvent[] = []
  ending = ""
  missing = ""
  event(event: SseEvent): void {
    this.events.push(event)
  }
  end(ending: string, reason: string): void {
    this.ending = `${ending}: ${reason}`
  }
  gone(code: string): void {
    this.missing = code
  }
}

const head = (name: string, generation: string, offset = `${generation}_0`): SseEvent => ({
  id: "", type: "stream", data: JSON.stringify({ name, generation, content_type: "application/json", created: 0, offset }),
})
const data = (id: string): SseEvent => ({ id, type: "", data: id })

describe("the page's places", () => {
  it("ask from the start, and then from after what has come", () => {
    const places = new Places()
    const heard = new Heard()
    places.follow("chat/a", "-1", heard)
    expect(places.wanted.streams).toEqual([{ name: "chat/a", offset: "-1" }])
    places.take(head("chat/a", "ga"))
    expect(places.wanted.streams[0]?.offset).toBe("ga_0")
    places.take(data("ga_1"))
    places.take(data("ga_2"))
    expect(places.wanted.streams[0]?.offset).toBe("ga_2")
    expect(heard.events.map((event) => event.id)).toEqual(["ga_1", "ga_2"])
  })

  it("keep streams apart by their generations", () => {
    const places = new Places()
    const [a, b] = [new Heard(), new Heard()]
    places.follow("a", "-1", a)
    places.follow("b", "-1", b)
    places.take(head("a", "g1"))
    places.take(head("b", "g2"))
    places.take(data("g2_1"))
    places.take(data("g1_1"))
    expect([a.events[0]?.id, b.events[0]?.id]).toEqual(["g1_1", "g2_1"])
  })

  it("ask no more for what has ended or is gone, and tell its reader", () => {
    const places = new Places()
    const [a, b] = [new Heard(), new Heard()]
    places.follow("a", "-1", a)
    places.follow("b", "-1", b)
    places.take(head("a", "g1"))
    places.take({ id: "g1_9", type: "end", data: '{"ending":"cut","reason":"half way"}' })
    places.take({ id: "", type: "gone", data: '{"name":"b","code":"not_found"}' })
    expect([a.ending, b.missing]).toEqual(["cut: half way", "not_found"])
    expect(places.wanted.streams).toEqual([])
  })

  it("are kept where it is the store that cannot be reached", () => {
    const places = new Places()
    places.follow("a", "g1_7", new Heard())
    const gone = { id: "", type: "gone", data: '{"name":"a","code":"store_unavailable"}' }
    expect(() => places.take(gone)).toThrow("store_unavailable")
    expect(places.wanted.streams).toEqual([{ name: "a", offset: "g1_7" }])
  })

  it("let go of events of a stream that was left", () => {
    const places = new Places()
    const heard = new Heard()
    places.follow("a", "-1", heard)
    places.take(head("a", "g1"))
    expect(places.leave("a", heard)).toBe(true)
    places.take(data("g1_1"))
    expect(heard.events).toEqual([])
  })

  it("belong to the later reader of a name: the earlier one's leaving changes nothing", () => {
    const places = new Places()
    const [first, second] = [new Heard(), new Heard()]
    places.follow("a", "-1", first)
    places.follow("a", "g1_5", second)
    expect(places.leave("a", first)).toBe(false)
    expect(places.wanted.streams).toEqual([{ name: "a", offset: "g1_5" }])
  })

  it("ask for at most as many as one response has, the others when some have ended", () => {
    const places = new Places()
    for (let count = 0; count < 70; count += 1) places.follow(`s${count}`, "-1", new Heard())
    expect(places.wanted.streams).toHaveLength(64)
    expect(places.crowded).toBe(true)
    places.take(head("s0", "g0"))
    places.take({ id: "g0_1", type: "end", data: '{"ending":"completed","reason":""}' })
    expect(places.wanted.streams.at(-1)?.name).toBe("s64")
  })

  it("include the overview for as long as somebody looks", () => {
    const places = new Places()
    const seen: number[] = []
    const listener = ({ time }: { time: number }) => void seen.push(time)
    places.overview(listener)
    expect(places.wanted.overview).toBe(true)
    places.take({ id: "", type: "overview", data: '{"time":5,"server":{},"streams":[],"total":{}}' })
    places.leaveOverview(listener)
    expect([seen, places.wanted.overview]).toEqual([[5], false])
  })
})
