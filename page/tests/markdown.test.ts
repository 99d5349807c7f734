// @vitest-environment jsdom
import { describe, expect, it } from "vitest"
import { type Block, GrowingMarkdown } from "../src/markdown/blocks"
import { safeFragment } from "../src/markdown/fragment"
import { highlighted } from "../src/markdown/highlight"
import { blockHtml } from "../src/markdown/html"
import { HOSTILE } from "./hostile"

const TEXT = `# Title

A paragraph with [a link][ref], **bold**
and a second line.

1. one

2. two
   - nested

     \`\`\`py
     inside = 1
     \`\`\`

Setext
======

| a | b |
|---|---|
| 1 | 2 |

\`\`\`js
const a = "<b>"

// still the same fence
\`\`\`

> quoted
> on

[ref]: https://example.org/ "there"

The [ref] is known here.
`

const html = (blocks: readonly Block[]) => blocks.map(({ token }) => blockHtml(token)).join("")
const whole = (text: string) => html(new GrowingMarkdown().end(text))

describe("Markdown that grows", () => {
  it("comes to the same blocks as if it had come at once, however it is cut", () => {
    for (const size of [1, 2, 3, 7, 40]) {
      const growing = new GrowingMarkdown()
      for (let end = size; end < TEXT.length; end += size) growing.update(TEXT.slice(0, end))
      // A link whose definition comes later is known to nobody who streams.
      expect(html(growing.end(TEXT)).replace(/<p>A paragraph.*?<\/p>/s, "")).toBe(
        whole(TEXT).replace(/<p>A paragraph.*?<\/p>/s, ""),
      )
    }
  })

  it("never takes a finished block back", () => {
    const growing = new GrowingMarkdown()
    let before: readonly Block[] = []
    for (let end = 1; end <= TEXT.length; end += 1) {
      const { finished } = growing.update(TEXT.slice(0, end))
      expect(finished.slice(0, before.length)).toEqual(before)
      before.forEach((block, index) => expect(finished[index]).toBe(block))
      before = finished
    }
    expect(before.length).toBeGreaterThan(6)
  })

  it("always shows all of the text", () => {
    const growing = new GrowingMarkdown()
    for (let end = 1; end <= TEXT.length; end += 1) {
      const { finished, rest } = growing.update(TEXT.slice(0, end))
      expect([...finished, ...rest].map(({ raw }) => raw).join("").trimEnd()).toBe(TEXT.slice(0, end).trimEnd())
    }
  })

  it("may have lines that end in CRLF", () => {
    const text = TEXT.replaceAll("\n", "\r\n")
    const [growing, other] = [new GrowingMarkdown(), new GrowingMarkdown()]
    for (let end = 1; end < text.length; end += 1) growing.update(text.slice(0, end))
    for (let end = 1; end < TEXT.length; end += 1) other.update(TEXT.slice(0, end))
    expect(html(growing.end(text))).toBe(html(other.end(TEXT)))
  })

  it("does not finish a list that its next line goes on with", () => {
    const growing = new GrowingMarkdown()
    expect(growing.update("1. one\n\n2").finished).toEqual([])
    expect(growing.end("1. one\n\n2. two\n")).toHaveLength(1)
  })
})

describe("HTML from outside", () => {
  const shown = (markdown: string) => {
    const box = document.createElement("div")
    box.append(safeFragment(whole(markdown)))
    return box
  }

  it.each(HOSTILE)("does nothing: %j", (text) => {
    for (const box of [shown(text), shown(`- ${text}\n\n> ${text}\n`)]) {
      expect(box.querySelectorAll("script, img, svg, math, iframe, object, embed, form, input, style, link, base, meta, template")).toHaveLength(0)
      for (const node of box.querySelectorAll("*")) {
        for (const { name, value } of node.attributes) {
          expect(["href", "title", "start", "align", "class", "rel", "target"]).toContain(name)
          if (name === "href") expect(value).toMatch(/^(https?|mailto):/i)
        }
      }
    }
  })

  it.each(HOSTILE)("is nothing even where Markdown is not asked: %j", (text) => {
    const box = document.createElement("div")
    box.append(safeFragment(text))
    expect(box.querySelectorAll("script, img, svg, math, iframe, form, style, [style], [id], [name]")).toHaveLength(0)
  })

  it("is shown as it was written", () => {
    expect(shown("a <b onclick=x>word</b>").textContent.trim()).toBe("a <b onclick=x>word</b>")
  })

  it("makes links that leave alone, and images that are links", () => {
    const link = shown("![cat](https://example.org/cat.png)").querySelector("a")
    expect(link?.getAttribute("rel")).toContain("noopener")
    expect(link?.getAttribute("target")).toBe("_blank")
    expect(shown("[here](/streams/x)").querySelector("a")?.hasAttribute("href")).toBe(false)
  })

  it("has no classes but those of highlighting", () => {
    const box = document.createElement("div")
    const code = highlighted('const a = "</span><img src=x onerror=alert(1)>"', "javascript")
    if (code !== undefined) box.append(code)
    expect(box.querySelector(".hljs-string")?.textContent).toContain("<img")
    expect(box.querySelector("img")).toBeNull()
    expect(safeFragment('<p class="unseen problem">x</p>').querySelector("[class]")).toBeNull()
  })
})
