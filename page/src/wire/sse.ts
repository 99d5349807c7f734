/** One event of an event stream. An ordinary one has no type. */
export interface SseEvent {
  readonly id: string
  readonly type: string
  readonly data: string
}

/**
 * Bytes of a fetch body in, events out; any cut of the same bytes gives the same events.
 *
 * EventSource would do this for us, but it sends neither a body nor a token. The grammar is that of
 * WHATWG HTML: lines end at LF, CR or CRLF and nowhere else, and a block without its blank line is
 * no event, so what a lost connection left half-said is never shown.
 */
export class SseParser {
  /** Milliseconds that the server asked us to wait before we come back. */
  retry: number | undefined
  readonly #decoder = new TextDecoder()
  #line = ""
  #afterCr = false
  #id = ""
  #block: { type: string; data: string[] } = { type: "", data: [] }

  feed(bytes: Uint8Array): SseEvent[] {
    const events: SseEvent[] = []
    const text = this.#decoder.decode(bytes, { stream: true })
    let start = 0
    if (this.#afterCr && text !== "") {
      this.#afterCr = false
      if (text.startsWith("\n")) start = 1
    }
    const ends = /\r\n|\n|\r/g
    ends.lastIndex = start
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#take(this.#line + text.slice(start, end.index), events)
      this.#line = ""
      start = ends.lastIndex
      // The LF of a CRLF that was cut in two is still to come.
      this.#afterCr = end[0] === "\r" && start === text.length
    }
    this.#line += text.slice(start)
    return events
  }

  #take(line: string, events: SseEvent[]): void {
    if (line === "") {
      if (this.#block.data.length > 0) {
        events.push({ id: this.#id, type: this.#block.type, data: this.#block.data.join("\n") })
      }
      this.#block = { type: "", data: [] }
      return
    }
    const colon = line.indexOf(":")
    if (colon === 0) return
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1))
    this.#field(name, value)
  }

  #field(name: string, value: string): void {
    if (name === "data") this.#block.data.push(value)
    else if (name === "event") this.#block.type = value
    else if (name === "id" && !value.includes("\0")) this.#id = value
    else if (name === "retry" && /^[0-9]{1,15}$/.test(value)) this.retry = Number(value)
  }
}
