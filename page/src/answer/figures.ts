import type { Note } from "../wire/api"
import type { Answer } from "./state"

/** What is printed under an answer. */
export interface Figures {
  readonly tokens: number
  /** Counted by us, or estimated by the server: not what the upstream said. */
  readonly approximate: boolean
  readonly firstToken: number | undefined
  readonly perSecond: number | undefined
}

/** The server's own figures where it has noted them; else ours, as seen from here. */
export function figures(answer: Answer): Figures {
  const { note, times } = answer
  const noted = note?.tokens ?? undefined
  return {
    tokens: answer.tokens ?? noted?.output ?? answer.chunks,
    approximate: answer.tokens === undefined && (noted?.estimated ?? true),
    firstToken: note?.first_token ?? sinceAsked(times.asked, times.first),
    perSecond: notedPace(note) ?? livePace(answer),
  }
}

function notedPace(note: Note | undefined): number | undefined {
  const between = note?.between_tokens ?? 0
  return between > 0 ? 1 / between : undefined
}

function sinceAsked(asked: number | undefined, first: number | undefined): number | undefined {
  return asked === undefined || first === undefined ? undefined : (first - asked) / 1000
}

function livePace({ chunks, times: { live, last } }: Answer): number | undefined {
  if (live === undefined || last <= live.at) return undefined
  return ((chunks - live.chunks - 1) / (last - live.at)) * 1000
}
