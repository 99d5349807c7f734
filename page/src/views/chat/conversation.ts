import type { Message } from "../../wire/api"

/** One question and the answers to it, the latest last: each retry is one more. */
export interface Turn {
  readonly text: string
  readonly model: string
  /** Names of streams. */
  readonly answers: readonly string[]
}

/** A conversation, which is a stream of JSON events of its own: what they come to. */
export interface Conversation {
  readonly title: string
  readonly turns: readonly Turn[]
}

export type ConversationEvent =
  | { readonly kind: "user"; readonly text: string; readonly model: string }
  | { readonly kind: "answer"; readonly stream: string }
  | { readonly kind: "edit"; readonly after: number }
  | { readonly kind: "title"; readonly text: string }

export const EMPTY: Conversation = { title: "", turns: [] }

/** The conversation after one more event. Whoever may append may append anything: what is not
 *  one of our events changes nothing. */
export function takeConversationEvent(before: Conversation, value: unknown): Conversation {
  const event = asEvent(value)
  if (event === undefined) return before
  const { turns } = before
  switch (event.kind) {
    case "user":
      return { ...before, turns: [...turns, { text: event.text, model: event.model, answers: [] }] }
    case "answer": {
      const last = turns.at(-1)
      if (last === undefined || last.answers.includes(event.stream)) return before
      const answered = { ...last, answers: [...last.answers, event.stream] }
      return { ...before, turns: [...turns.slice(0, -1), answered] }
    }
    case "edit":
      return { ...before, turns: turns.slice(0, event.after) }
    case "title":
      return { ...before, title: event.text }
  }
}

/** What the model is sent: every turn before, with its latest answer, and the question. */
export function messagesFor(
  turns: readonly Turn[],
  question: string,
  textOf: (stream: string) => string,
): Message[] {
  const messages: Message[] = []
  for (const turn of turns) {
    messages.push({ role: "user", content: turn.text })
    const text = textOf(turn.answers.at(-1) ?? "")
    // An answer that failed before its first word is none; APIs refuse empty messages.
    if (text !== "") messages.push({ role: "assistant", content: text })
  }
  return [...messages, { role: "user", content: question }]
}

function asEvent(value: unknown): ConversationEvent | undefined {
  if (typeof value !== "object" || value === null) return undefined
  const { kind, text, model, stream, after } = value as Record<string, unknown>
  switch (kind) {
    case "user":
      return isText(text) ? { kind, text, model: isText(model) ? model : "" } : undefined
    case "answer":
      return isText(stream) ? { kind, stream } : undefined
    case "title":
      return isText(text) ? { kind, text } : undefined
    case "edit":
      return isCount(after) ? { kind, after } : undefined
    default:
      return undefined
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string"
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0
}
