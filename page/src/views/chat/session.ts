import { computed, signal } from "@preact/signals"
import { RunningAnswer } from "../../answer/running"
import { follower } from "../../follow"
import { append, ask, makeJsonStream, stopStream } from "../../wire/api"
import type { SseEvent } from "../../wire/sse"
import {
  type Conversation, type ConversationEvent, EMPTY, messagesFor, takeConversationEvent, type Turn,
} from "./conversation"

export const PREFIX = "conversations/"

/**
 * One conversation, followed: its events, and every answer that they name, from its start. What a
 * person does here is appended to its stream, and is seen here when it comes back from there, as it
 * is by every other tab that has it open.
 */
export class Session {
  readonly conversation = signal<Conversation>(EMPTY)
  readonly missing = signal(false)
  /** Whether the question is on its way and there is no answer's stream yet. */
  readonly asking = signal(false)
  readonly problem = signal<unknown>(undefined)
  /** Of the answer that is being written, if one is. */
  readonly running = computed(() => {
    const name = this.conversation.value.turns.at(-1)?.answers.at(-1)
    const answer = name === undefined ? undefined : this.#answers.value.get(name)
    return answer?.answer.value.ending === undefined ? answer : undefined
  })
  readonly #answers = signal<ReadonlyMap<string, RunningAnswer>>(new Map())
  readonly #stream: string
  readonly #leave: () => void
  /** Of the latest event: what makes the key of a question, so that it is never asked twice. */
  #offset = ""

  constructor(readonly id: string) {
    this.#stream = PREFIX + id
    this.#leave = follower.follow(this.#stream, "-1", this)
  }

  dispose(): void {
    this.#leave()
    for (const answer of this.#answers.value.values()) answer.dispose()
  }

  answer(name: string): RunningAnswer | undefined {
    return this.#answers.value.get(name)
  }

  /** A question, or another one in the place of turn `instead` and all after it. Rejects where it
   *  did not get through. */
  async send(text: string, model: string, instead?: number): Promise<void> {
    const turns = this.conversation.value.turns.slice(0, instead)
    const said: ConversationEvent = { kind: "user", text, model }
    // In one append, so that nobody sees a conversation that was cut and not gone on with.
    const events = instead === undefined ? said : [{ kind: "edit", after: instead } as const, said]
    await this.#attempt(async () => (this.#offset = await append(this.#stream, events)))
    // The conversation has it from here on: what goes wrong is retried there, and not sent again.
    await this.#attempt(() => this.#ask(turns, text, model)).catch(() => undefined)
  }

  /** Ask again what the last turn asked. */
  async retry(): Promise<void> {
    const { turns } = this.conversation.value
    const last = turns.at(-1)
    if (last === undefined) return
    await this.#attempt(() => this.#ask(turns.slice(0, -1), last.text, last.model))
  }

  async stop(): Promise<void> {
    const { value } = this.running
    if (value === undefined) return
    await this.#attempt(() => stopStream(value.name))
  }

  async #ask(before: readonly Turn[], text: string, model: string): Promise<void> {
    this.asking.value = true
    try {
      const asked = Date.now()
      const messages = messagesFor(before, text, (name) => this.answer(name)?.answer.value.text ?? "")
      const name = await ask(model, messages, `page-${this.#offset}`)
      this.#follow(name, asked)
      this.#offset = await append(this.#stream, { kind: "answer", stream: name })
    } finally {
      this.asking.value = false
    }
  }

  async #attempt(what: () => Promise<unknown>): Promise<void> {
    this.problem.value = undefined
    try {
      await what()
    } catch (error) {
      this.problem.value = error
      throw error
    }
  }

  #follow(name: string, asked?: number): void {
    if (this.#answers.value.has(name)) return
    this.#answers.value = new Map(this.#answers.value).set(name, new RunningAnswer(name, asked))
  }

  event(event: SseEvent): void {
    this.#offset = event.id
    if (event.type !== "") return
    this.conversation.value = takeConversationEvent(this.conversation.value, parsed(event.data))
    for (const turn of this.conversation.value.turns) turn.answers.forEach((name) => this.#follow(name))
  }

  end(): void {
    // Somebody closed it: it can still be read.
  }

  gone(): void {
    this.missing.value = true
  }
}

let current: Session | undefined

/** The session of a conversation; the one before it is left. */
export function session(id: string): Session {
  if (current?.id !== id) {
    current?.dispose()
    current = new Session(id)
  }
  return current
}

/** It is no longer looked at, unless another one is by now. */
export function leaveSession(id: string): void {
  if (current?.id !== id) return
  current.dispose()
  current = undefined
}

/** A new conversation's id: its link is all that is needed to read it, so it cannot be guessed. */
export async function newConversation(): Promise<string> {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  await makeJsonStream(PREFIX + id)
  return id
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
