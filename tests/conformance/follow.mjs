// Follows a JSON stream to its end with the protocol's own client; one line a message.
//   node follow.mjs URL true|long-poll|sse
import { stream } from "@durable-streams/client"

const [url, mode] = process.argv.slice(2)
const answer = await stream({ url, offset: "-1", live: mode === "true" ? true : mode })
for await (const message of answer.jsonStream()) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
