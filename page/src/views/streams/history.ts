import type { Overview, OverviewStream } from "../../follow/places"

/** What is drawn: one list for each line, the newest value last. */
export interface Series {
  /** Seconds since 1970. */
  readonly time: readonly number[]
  readonly tokens: readonly number[]
  readonly viewers: readonly number[]
  readonly cpu: readonly number[]
  readonly memory: readonly number[]
}

export const NO_SERIES: Series = { time: [], tokens: [], viewers: [], cpu: [], memory: [] }

/** As much as is drawn. */
export const KEPT_SECONDS = 300

/** The series with one more overview, and without what is older than five minutes before it. */
export function extend(series: Series, { time, server, streams }: Overview): Series {
  const now = time / 1000
  const from = series.time.findIndex((at) => at > now - KEPT_SECONDS)
  const kept = (values: readonly number[], next: number) => [...(from < 0 ? [] : values.slice(from)), next]
  return {
    time: kept(series.time, now),
    tokens: kept(series.tokens, sum(streams.filter(isAnswer), (stream) => stream.rate)),
    viewers: kept(series.viewers, sum(streams, (stream) => stream.viewers)),
    cpu: kept(series.cpu, server.cpu * 100),
    memory: kept(series.memory, server.memory),
  }
}

/** Upper bounds of the classes of times to first token, in seconds; the last class has none. */
export const CLASSES = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10] as const

/** How many answers had their first token within each class. */
export function firstTokens(streams: readonly OverviewStream[]): number[] {
  const counts = Array.from({ length: CLASSES.length + 1 }, () => 0)
  for (const { note } of streams) {
    const first = note?.first_token
    if (typeof first !== "number") continue
    const found = CLASSES.findIndex((bound) => first <= bound)
    const index = found < 0 ? CLASSES.length : found
    counts[index] = (counts[index] ?? 0) + 1
  }
  return counts
}

/** The middle one of the times to first token. */
export function medianFirstToken(streams: readonly OverviewStream[]): number | undefined {
  const times = streams.flatMap(({ note }) => (typeof note?.first_token === "number" ? [note.first_token] : []))
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]
}

function isAnswer(stream: OverviewStream): boolean {
  return stream.name.startsWith("chat/")
}

function sum(streams: readonly OverviewStream[], of: (stream: OverviewStream) => number): number {
  return streams.reduce((total, stream) => total + of(stream), 0)
}
