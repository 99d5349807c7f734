import { describe, expect, it } from "vitest"
import { bytes, clock, duration, number, rate, titleOf } from "../src/text/format"
import { curlCommand, quoted } from "../src/text/shell"

describe("figures", () => {
  it("are short", () => {
    expect([0, 1023, 1024, 10_240, 5 * 2 ** 30].map((count) => bytes(count, "en"))).toEqual([
      "0 B", "1,023 B", "1 KiB", "10 KiB", "5 GiB",
    ])
    expect([0, 0.23, 0.9996, 4.25, 59, 61, 7200, 200_000].map((seconds) => duration(seconds, "en"))).toEqual([
      "0 ms", "230 ms", "1 sec", "4.3 sec", "59 sec", "1 min", "2 hr", "2 days",
    ])
    expect([rate(0.25, "en"), rate(47.4, "en"), number(1234, "en")]).toEqual(["0.3", "47", "1,234"])
  })

  it("are in Chinese, too", () => {
    expect(duration(180, "zh")).toBe("3分钟")
  })

  it("have times to the millisecond", () => {
    expect(clock(new Date(2026, 10, 25, 9, 5, 7, 31).getTime())).toBe("09:05:07.031")
  })
})

describe("a title", () => {
  it("is a line of what was asked", () => {
    expect(titleOf("  What\n is   this? ")).toBe("What is this?")
    expect(titleOf("x".repeat(80))).toBe(`${"x".repeat(59)}…`)
  })

  it("is not cut within a character", () => {
    expect(titleOf("👩‍👩‍👧‍👦".repeat(10), 12)).toBe("👩‍👩‍👧‍👦…")
  })
})

describe("a command", () => {
  it("is one that can be pasted", () => {
    expect(quoted("it's; rm -rf /")).toBe(String.raw`'it'\''s; rm -rf /'`)
    expect(curlCommand("http://h/streams/a%20b", "g_1", true)).toBe(
      "curl -N -H 'Accept: text/event-stream' -H 'Last-Event-ID: g_1' 'http://h/streams/a%20b'",
    )
    expect(curlCommand("http://h/streams/a", "-1", false)).toBe(
      "curl -N -H 'Accept: text/event-stream' 'http://h/streams/a'",
    )
  })
})
