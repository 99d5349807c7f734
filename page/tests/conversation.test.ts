import { describe, expect, it } from "vitest"
import { EMPTY, messagesFor, takeConversationEvent } from "../src/views/chat/conversation"

const after = (...events: unknown[]) => events.reduce(takeConversationEvent, EMPTY)
const user = (text: string) => ({ kind: "user", text, model: "m" })
const answer = (stream: string) => ({ kind: "answer", stream })

describe("a conversation", () => {
  it("is turns, each with the answers that were asked for", () => {
    expect(after(user("one"), answer("chat/1"), answer("chat/2"), user("two"))).toEqual({
      title: "",
      turns: [
        { text: "one", model: "m", answers: ["chat/1", "chat/2"] },
        { text: "two", model: "m", answers: [] },
      ],
    })
  })

  it("is cut by an edit, and goes on with what was asked instead", () => {
    const { turns } = after(user("one"), answer("a"), user("two"), answer("b"), { kind: "edit", after: 1 }, user("2"))
    expect(turns.map(({ text }) => text)).toEqual(["one", "2"])
  })

  it("has its title from its last title event", () => {
    expect(after({ kind: "title", text: "x" }, { kind: "title", text: "y" }).title).toBe("y")
  })

  it("takes an answer that is said twice once", () => {
    expect(after(user("one"), answer("a"), answer("a")).turns[0]?.answers).toEqual(["a"])
  })

  it.each([
    null, 7, "user", [], {}, { kind: "user" }, { kind: "user", text: 7 }, { kind: "answer", stream: {} },
    { kind: "edit", after: -1 }, { kind: "edit", after: 0.5 }, { kind: "edit", after: "0" },
    { kind: "constructor" }, { kind: "title", text: null }, { kind: "__proto__", text: "x" },
  ])("is not changed by %j", (event) => {
    const before = after(user("one"))
    expect(takeConversationEvent(before, event)).toBe(before)
  })

  it("has no answer before its first question", () => {
    expect(after(answer("a"))).toEqual(EMPTY)
  })
})

describe("what the model is sent", () => {
  it("is every turn with its latest answer, and no empty message", () => {
    const { turns } = after(user("one"), answer("a"), answer("b"), user("two"), answer("failed"))
    const texts: Record<string, string> = { a: "A", b: "B", failed: "" }
    expect(messagesFor(turns, "three", (name) => texts[name] ?? "")).toEqual([
      { role: "user", content: "one" },
      { role: "assistant", content: "B" },
      { role: "user", content: "two" },
      { role: "user", content: "three" },
    ])
  })
})
