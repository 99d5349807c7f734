import type { Note } from "../wire/api"
import type { SseEvent } from "../wire/sse"

export type EndingKind =
  | "completed" | "cut" | "stalled" | "failed" | "cancelled" | "interrupted" | "expired" | "gone"

export interface Ending {
  readonly kind: string
  readonly reason: string
}

/** One answer, as far as it has come. */
export interface Answer {
  readonly text: string
  readonly reasoning: string
  /** Calls of tools by their index: the name and the arguments, which come in pieces. */
  readonly tools: readonly { readonly name: string; readonly arguments: string }[]
  /** Chunks with content: about as many as tokens. */
  readonly chunks: number
  /** What the upstream counted. */
  readonly tokens: number | undefined
  /** Why the model stopped, in the API's words: stop, length, content_filter … */
  readonly finish: string
  /** Where in the text another upstream went on. */
  readonly seams: readonly number[]
  readonly errors: readonly string[]
  readonly ending: Ending | undefined
  readonly note: Note | undefined
  readonly times: Times
}

/** In milliseconds of the page's own clock; what was there before we came has none. */
export interface Times {
  readonly asked: number | undefined
  readonly joined: number
  readonly first: number | undefined
  readonly last: number
  /** When, and after how many chunks, they began to come live. */
  readonly live: { readonly at: number; readonly chunks: number } | undefined
}

// What arrives so soon after the stream's head was there before us.
const BACKLOG_MS = 250

export function newAnswer(joined: number, asked?: number): Answer {
  return {
    text: "", reasoning: "", tools: [], chunks: 0, tokens: undefined, finish: "", seams: [],
    errors: [], ending: undefined, note: undefined,
    times: { asked, joined, first: undefined, last: joined, live: undefined },
  }
}

interface Delta {
  readonly content?: unknown
  readonly refusal?: unknown
  readonly reasoning?: unknown
  readonly reasoning_content?: unknown
  readonly tool_calls?: readonly { index?: number; function?: { name?: string; arguments?: string } }[]
}

/** What an event of any of the APIs may have of it: docs/views.md, "What `text` shows". */
interface Chunk {
  readonly type?: string
  readonly delta?: unknown
  readonly choices?: readonly { index?: number; delta?: Delta | null; text?: unknown; finish_reason?: string | null }[]
  readonly usage?: { completion_tokens?: number } | null
  readonly error?: { message?: unknown }
}

/** The answer after one more event; never throws, whatever the upstream sent. */
export function takeEvent(answer: Answer, event: SseEvent, now: number): Answer {
  if (event.type === "seam") return { ...answer, seams: [...answer.seams, answer.text.length] }
  const chunk = parsed(event.data)
  if (chunk === undefined) return answer
  if (event.type === "error" || chunk.error !== undefined) {
    return { ...answer, errors: [...answer.errors, said(chunk.error?.message)] }
  }
  const counted = chunk.usage?.completion_tokens
  const tokens = typeof counted === "number" ? counted : answer.tokens
  if (event.type !== "") return tokens === answer.tokens ? answer : { ...answer, tokens }
  return takeChunk({ ...answer, tokens }, chunk, now)
}

export function takeEnding(answer: Answer, kind: string, reason: string): Answer {
  return { ...answer, ending: { kind, reason } }
}

function takeChunk(answer: Answer, chunk: Chunk, now: number): Answer {
  // Other choices are other answers; this page asks for one.
  const choice = chunk.choices?.find((each) => (each.index ?? 0) === 0)
  if (choice === undefined) return withText(answer, deltaOf(chunk), now)
  const delta = choice.delta ?? {}
  const content = said(delta.content) + said(delta.refusal) + said(choice.text)
  const reasoning = said(delta.reasoning_content ?? delta.reasoning)
  const tools = delta.tool_calls ?? []
  const finish = said(choice.finish_reason) === "" ? answer.finish : said(choice.finish_reason)
  if (content === "" && reasoning === "" && tools.length === 0) return { ...answer, finish }
  return {
    ...answer,
    finish,
    text: answer.text + content,
    reasoning: answer.reasoning + reasoning,
    tools: tools.length === 0 ? answer.tools : withTools(answer.tools, tools),
    chunks: answer.chunks + 1,
    times: timed(answer, now),
  }
}

/** Text of the Responses API, and of Anthropic's Messages API. */
function deltaOf({ type, delta }: Chunk): string {
  if (type === "response.output_text.delta") return said(delta)
  return type === "content_block_delta" ? said((delta as { text?: unknown } | null)?.text) : ""
}

function withText(answer: Answer, text: string, now: number): Answer {
  if (text === "") return answer
  return { ...answer, text: answer.text + text, chunks: answer.chunks + 1, times: timed(answer, now) }
}

function timed({ times, chunks }: Answer, now: number): Times {
  const live = times.live ?? (now - times.joined > BACKLOG_MS ? { at: now, chunks } : undefined)
  return { ...times, first: times.first ?? now, last: now, live }
}

function withTools(tools: Answer["tools"], more: NonNullable<Delta["tool_calls"]>): Answer["tools"] {
  const all = [...tools]
  for (const { index = 0, function: call } of more) {
    const before = all[index] ?? { name: "", arguments: "" }
    all[index] = { name: before.name + said(call?.name), arguments: before.arguments + said(call?.arguments) }
  }
  return Array.from(all, (tool) => tool as Answer["tools"][number] | undefined ?? { name: "", arguments: "" })
}

function parsed(data: string): Chunk | undefined {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function said(value: unknown): string {
  return typeof value === "string" ? value : ""
}
