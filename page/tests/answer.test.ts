import { describe, expect, it } from "vitest"
import { figures } from "../src/answer/figures"
import { type Answer, newAnswer, takeEnding, takeEvent } from "../src/answer/state"

const chunk = (delta: object, finish: string | null = null) => ({
  id: "g_1", type: "", data: JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] }),
})
const said = (answer: Answer, text: string, now: number) => takeEvent(answer, chunk({ content: text }), now)

describe("an answer", () => {
  it("is its chunks' text, reasoning, calls of tools and reason to stop", () => {
    const events = [
      chunk({ role: "assistant", content: "" }),
      chunk({ reasoning_content: "hm " }),
      chunk({ content: "Hel" }),
      chunk({ content: "lo" }),
      chunk({ tool_calls: [{ index: 0, function: { name: "look", arguments: '{"a"' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }),
      chunk({}, "length"),
    ]
    const answer = events.reduce((before, event) => takeEvent(before, event, 1), newAnswer(0))
    expect(answer).toMatchObject({
      text: "Hello", reasoning: "hm ", finish: "length", chunks: 5,
      tools: [{ name: "look", arguments: '{"a":1}' }],
    })
  })

  it("may be one of another API", () => {
    const events = [
      { type: "response.output_text.delta", delta: "Hel" },
      { type: "content_block_delta", delta: { type: "text_delta", text: "lo" } },
      { type: "content_block_delta", delta: null },
      { type: "response.created" },
    ].map((value) => ({ id: "g_1", type: "", data: JSON.stringify(value) }))
    expect(events.reduce((before, event) => takeEvent(before, event, 1), newAnswer(0)).text).toBe("Hello")
  })

  it("knows what the upstream counted, and marks what it counts itself", () => {
    const counted = said(newAnswer(0), "a", 1)
    expect(figures(counted)).toMatchObject({ tokens: 1, approximate: true })
    const usage = { id: "g_2", type: "usage", data: '{"choices":[],"usage":{"completion_tokens":42}}' }
    expect(figures(takeEvent(counted, usage, 2))).toMatchObject({ tokens: 42, approximate: false })
  })

  it("has a pace from what came live, not from what was there before", () => {
    let answer = newAnswer(1000)
    for (let count = 0; count < 100; count += 1) answer = said(answer, "x", 1010)
    expect(figures(answer).perSecond).toBeUndefined()
    for (let count = 0; count <= 20; count += 1) answer = said(answer, "x", 2000 + 100 * count)
    expect(figures(answer).perSecond).toBeCloseTo(10)
    expect(figures(answer).firstToken).toBeUndefined()
  })

  it("has its time to first token where it was asked for here, and the server's once noted", () => {
    const answer = said(newAnswer(500, 400), "x", 650)
    expect(figures(answer).firstToken).toBeCloseTo(0.25)
    const note = { first_token: 0.2, between_tokens: 0.05, tokens: { input: 1, output: 9, estimated: true } }
    expect(figures({ ...answer, note })).toEqual({ tokens: 9, approximate: true, firstToken: 0.2, perSecond: 20 })
  })

  it("is open until it has an ending, whichever", () => {
    const answer = said(newAnswer(0), "half", 1)
    expect(answer.ending).toBeUndefined()
    expect(takeEnding(answer, "cut", "why").ending).toEqual({ kind: "cut", reason: "why" })
  })

  it("keeps errors and seams, which are no text", () => {
    const error = { id: "g_2", type: "error", data: '{"error":{"message":"<b>no</b>"}}' }
    const seam = { id: "g_3", type: "seam", data: "{}" }
    const answer = [error, seam].reduce((before, event) => takeEvent(before, event, 1), said(newAnswer(0), "ab", 1))
    expect(answer).toMatchObject({ text: "ab", errors: ["<b>no</b>"], seams: [2] })
  })

  it.each(["", "no JSON", "7", "null", "[]", "{}", '{"choices":[]}', '{"choices":[{}]}', '{"choices":[{"delta":{"content":{}}}]}'])(
    "is not disturbed by %j",
    (data) => {
      const before = said(newAnswer(0), "ab", 1)
      expect(takeEvent(before, { id: "g_9", type: "", data }, 2).text).toBe("ab")
    },
  )
})
