// Begins an answer for each way of leaving it, and leaves it once the parent says so. This process
// stays: it is not its end that closes the connection.
import { createInterface } from "node:readline"
import OpenAI from "openai"

const FEW = 3
const [, , baseURL, way] = process.argv
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 })
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

const leave = new AbortController()
const asked = { model: "any", messages: [{ role: "user", content: "Hi" }], stream: true }
const more = { max_tokens: 3000, ignore_eos: true }
const answer = await client.chat.completions.create({ ...asked, ...more }, { signal: leave.signal })
let seen = 0
try {
  for await (const _ of answer) {
    if (++seen < FEW) continue
    process.stdout.write("begun\n")
    await lines.next()
    if (way === "break") break
    leave.abort()
  }
} catch (error) {
  if (!leave.signal.aborted) throw error
}
await lines.next()
process.exit()
