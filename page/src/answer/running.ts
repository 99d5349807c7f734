import { type ReadonlySignal, signal } from "@preact/signals"
import { follower } from "../follow"
import { describeStream, type Note } from "../wire/api"
import type { SseEvent } from "../wire/sse"
import { type Answer, newAnswer, takeEnding, takeEvent } from "./state"

// A note's tokens are sometimes estimated after the end, by a thread of the server's.
const NOTE_AGAIN_MS = 1500

/** An answer's stream, followed from its start. */
export class RunningAnswer {
  readonly attends = true
  readonly #answer
  readonly #leave: () => void

  constructor(
    readonly name: string,
    asked?: number,
  ) {
    this.#answer = signal<Answer>(newAnswer(Date.now(), asked))
    this.#leave = follower.follow(name, "-1", this)
  }

  get answer(): ReadonlySignal<Answer> {
    return this.#answer
  }

  dispose(): void {
    this.#leave()
  }

  head(): void {
    const answer = this.#answer.value
    if (answer.chunks > 0) return
    this.#answer.value = { ...answer, times: { ...answer.times, joined: Date.now() } }
  }

  event(event: SseEvent): void {
    this.#answer.value = takeEvent(this.#answer.value, event, Date.now())
  }

  end(kind: string, reason: string): void {
    this.#answer.value = takeEnding(this.#answer.value, kind, reason)
    void this.#readNote()
  }

  gone(): void {
    this.#answer.value = takeEnding(this.#answer.value, "gone", "")
  }

  async #readNote(): Promise<void> {
    try {
      let note = await this.#noted()
      if ((note?.tokens ?? null) === null) {
        await new Promise((resolve) => setTimeout(resolve, NOTE_AGAIN_MS))
        note = (await this.#noted()) ?? note
      }
      if (note !== undefined) this.#answer.value = { ...this.#answer.value, note }
    } catch {
      // The figures from here have to do.
    }
  }

  async #noted(): Promise<Note | undefined> {
    return (await describeStream(this.name))?.note
  }
}
