import { signal } from "@preact/signals"
import { read, write } from "../../settings"
import { titleOf } from "../../text/format"
import { append, deleteStream, firstValues, listStreams, type ListedStream } from "../../wire/api"
import { type Conversation, EMPTY, takeConversationEvent } from "./conversation"
import { PREFIX } from "./session"

export interface Entry {
  readonly id: string
  readonly title: string
  readonly created: number
}

/** The conversations that there are, newest first; undefined until they have been asked for. */
export const entries = signal<readonly Entry[] | undefined>(undefined)

const MOST = 50
const CACHE = "titles"

type Titles = Record<string, { readonly offset: string; readonly title: string }>

/** A title is in the conversation itself. What was read is remembered for as long as it holds. */
export async function refreshList(): Promise<void> {
  const streams = await listStreams(PREFIX, MOST)
  const known = cached()
  const titles: Titles = {}
  entries.value = streams.map((stream) => entry(stream, known[stream.name]?.title ?? ""))
  for (const stream of streams) {
    const kept = known[stream.name]
    titles[stream.name] =
      kept?.offset === stream.offset ? kept : { offset: stream.offset, title: await titleIn(stream.name) }
  }
  write(`tailrace-${CACHE}`, JSON.stringify(titles))
  entries.value = streams.map((stream) => entry(stream, titles[stream.name]?.title ?? ""))
}

export async function renameConversation(id: string, title: string): Promise<void> {
  await append(PREFIX + id, { kind: "title", text: title })
  await refreshList()
}

/** Delete a conversation, and the answers that are its own. */
export async function deleteConversation(id: string): Promise<void> {
  const name = PREFIX + id
  const answers = new Set<string>()
  for (const value of await firstValues(name)) {
    const stream = (value as { stream?: unknown } | null)?.stream
    if (typeof stream === "string" && stream.startsWith("chat/")) answers.add(stream)
  }
  await deleteStream(name)
  await Promise.allSettled([...answers].map(deleteStream))
  await refreshList()
}

async function titleIn(name: string): Promise<string> {
  try {
    const conversation = (await firstValues(name)).reduce<Conversation>(takeConversationEvent, EMPTY)
    return conversation.title === "" ? titleOf(conversation.turns[0]?.text ?? "") : conversation.title
  } catch {
    // Deleted meanwhile.
    return ""
  }
}

function entry(stream: ListedStream, title: string): Entry {
  return { id: stream.name.slice(PREFIX.length), title, created: stream.created }
}

function cached(): Titles {
  try {
    return JSON.parse(read(`tailrace-${CACHE}`) ?? "{}") as Titles
  } catch {
    return {}
  }
}
