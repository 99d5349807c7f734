import { signal } from "@preact/signals"
import { follower } from "../../follow"
import type { StreamHead } from "../../follow/places"
import { type Frame, readHistory, tailOf } from "../../wire/history"
import type { SseEvent } from "../../wire/sse"

/** As many frames as are kept to be looked at; the stream has them all. */
const MOST = 1000

/** The offset of a stream that has no event: there is no history to wait for. */
const NOTHING_YET = /_0+$/

/**
 * A reader of a stream that can be watched at its work: it has a place, is let go of and comes back
 * with that place. History comes with the server's times, then the live events with ours.
 */
export class Tap {
  readonly frames = signal<readonly Frame[]>([])
  /** Frames that are no longer shown. */
  readonly dropped = signal(0)
  readonly state = signal<"reading" | "live" | "paused" | "ended" | "gone">("reading")
  readonly head = signal<StreamHead | undefined>(undefined)
  readonly problem = signal<unknown>(undefined)
  /** The reader's place: the id of the last frame. */
  readonly offset = signal("-1")
  /** Where it began, or was last resumed: what the next request would say. */
  readonly from = signal("-1")
  #leave: (() => void) | undefined
  #abort = new AbortController()

  constructor(readonly name: string) {}

  /** Go on from an offset; what was shown before and is not after it stays. */
  resume(offset: string): void {
    this.pause()
    this.#keep(this.frames.value.filter((frame) => frame.id <= offset))
    this.offset.value = this.from.value = offset
    this.problem.value = undefined
    this.state.value = "reading"
    const abort = (this.#abort = new AbortController())
    this.#read(offset, abort.signal).catch((error: unknown) => {
      if (abort.signal.aborted) return
      this.problem.value = error
      this.state.value = "paused"
    })
  }

  pause(): void {
    this.#abort.abort()
    this.#leave?.()
    this.#leave = undefined
    if (this.state.value === "reading" || this.state.value === "live") this.state.value = "paused"
  }

  async #read(offset: string, aborted: AbortSignal): Promise<void> {
    const tail = await tailOf(this.name)
    if (tail.closed || (tail.offset > offset && !NOTHING_YET.test(tail.offset))) {
      await readHistory(this.name, offset, tail, aborted, (frames) => this.#take(frames))
    }
    if (aborted.aborted || this.#hasEnded()) return
    this.state.value = "live"
    this.#leave = follower.follow(this.name, this.offset.value, {
      head: (head) => (this.head.value = head),
      event: (event) => this.#live(event),
      end: (ending, reason, id) => this.#live({ id, type: "end", data: JSON.stringify({ ending, reason }) }),
      gone: () => (this.state.value = "gone"),
    })
  }

  #live(event: SseEvent): void {
    this.#take([{ ...event, time: Date.now() }])
    this.#hasEnded()
  }

  #hasEnded(): boolean {
    const ended = this.frames.value.at(-1)?.type === "end"
    if (ended) this.state.value = "ended"
    return ended
  }

  #take(frames: readonly Frame[]): void {
    const last = frames.at(-1)
    if (last === undefined) return
    this.offset.value = last.id
    this.#keep([...this.frames.value, ...frames])
  }

  #keep(frames: readonly Frame[]): void {
    const over = Math.max(0, frames.length - MOST)
    this.dropped.value = frames.length === 0 ? 0 : this.dropped.value + over
    this.frames.value = over > 0 ? frames.slice(over) : frames
  }
}
