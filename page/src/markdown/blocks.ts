import { Lexer, type Token, type TokensList } from "marked"

/** One top-level piece of Markdown: a paragraph, a list, a fence. */
export interface Block {
  readonly raw: string
  readonly token: Token
}

export interface Split {
  /** Blocks that can not change any more, whatever comes. */
  readonly finished: readonly Block[]
  /** What is after them. */
  readonly rest: readonly Block[]
}

/**
 * Cuts Markdown that still grows into blocks, so that each is made into HTML once.
 *
 * A block is finished when another has begun after it in whole lines. The last line may become
 * anything ("1" becomes "1. and the list goes on"), so no decision is based on it until it has
 * ended; nor on the last block, which the next line may change: a setext heading's underline, a
 * table's rule, an item after a blank line. What is finished is never looked at again, which is
 * what keeps a long answer as cheap as a short one.
 */
export class GrowingMarkdown {
  #finished: Block[] = []
  /** The text, without carriage returns: the lexer drops them, and lengths have to add up. */
  #text = ""
  #seen = 0
  /** How much of the text is in finished blocks. */
  #taken = 0
  #links: TokensList["links"] = {}

  /** All of the text so far, which only grows. */
  update(text: string): Split {
    this.#see(text)
    const lineEnd = this.#text.lastIndexOf("\n") + 1
    if (lineEnd > this.#taken) this.#finish(this.#text.slice(this.#taken, lineEnd))
    return { finished: this.#finished, rest: this.#blocks(this.#text.slice(this.#taken)).blocks }
  }

  /** It has ended: all of it is finished. */
  end(text: string): readonly Block[] {
    this.#see(text)
    const rest = this.#blocks(this.#text.slice(this.#taken)).blocks
    this.#taken = this.#text.length
    this.#finished = [...this.#finished, ...rest]
    return this.#finished
  }

  #see(text: string): void {
    this.#text += text.slice(this.#seen).replaceAll("\r", "")
    this.#seen = text.length
  }

  #finish(lines: string): void {
    const { blocks, links } = this.#blocks(lines)
    // A link's definition may be used by what comes later; nothing else looks across blocks. It is
    // taken from whole lines only: half an address would stay.
    this.#links = links
    const done = blocks.slice(0, -1)
    const raw = done.map((block) => block.raw).join("")
    // Where the lexer has rewritten what it read, it is read again as a whole.
    if (raw === "" || !lines.startsWith(raw)) return
    this.#taken += raw.length
    this.#finished = [...this.#finished, ...done]
  }

  /** Blank lines belong to the block before them, so that lengths add up. */
  #blocks(text: string): { blocks: Block[]; links: TokensList["links"] } {
    const lexer = new Lexer({ gfm: true })
    lexer.tokens.links = { ...this.#links }
    const tokens = lexer.lex(text)
    const blocks: Block[] = []
    for (const token of tokens) {
      const last = blocks.at(-1)
      if (token.type === "space" && last !== undefined) {
        blocks[blocks.length - 1] = { raw: last.raw + token.raw, token: last.token }
      } else blocks.push({ raw: token.raw, token })
    }
    return { blocks, links: tokens.links }
  }
}
