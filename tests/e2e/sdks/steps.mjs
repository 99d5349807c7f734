// What the scripts in JavaScript have in common; steps.py says what they are.

export const PROMPT = "Say hello to Köln 🙂, and then tell me something about the river."
export const WEATHER = "What is the weather in Köln?"
export const CITY = "Name a city."
export const CITIES = ["Köln", "Paris"]
export const SOME = 24
export const MANY = 1500
export const FEW = 3
// Tailrace's; a model API does not know it.
export const CANCEL = { "Tailrace-Disconnect": "cancel" }
export const KEEP = { "Tailrace-Disconnect": "keep" }

export const run = JSON.parse(process.argv[2])

export const schema = {
  type: "object",
  properties: { city: { type: "string", enum: CITIES } },
  required: ["city"],
  additionalProperties: false,
}

export const newKey = () => ({ "Idempotency-Key": crypto.randomUUID() })

export async function all(pieces) {
  const seen = []
  for await (const each of pieces) seen.push(each)
  return seen
}

/** The first pieces, and what was thrown after them when `leave` had been called. */
export async function leaving(pieces, leave, count = FEW) {
  const seen = []
  try {
    for await (const each of pieces) {
      seen.push(each)
      if (seen.length === count) leave()
    }
    return { seen: seen.slice(0, count), ended: "quietly" }
  } catch (error) {
    return { seen: seen.slice(0, count), ended: described(error) }
  }
}

function described(error) {
  const { name, message, status, statusCode, code } = error
  return { type: name, message, status: status ?? statusCode, code }
}

export async function runSteps(steps) {
  for (const [step, take] of Object.entries(steps)) {
    let said
    try {
      said = { step, saw: (await take()) ?? null }
    } catch (error) {
      said = { step, raised: described(error) }
    }
    process.stdout.write(`${JSON.stringify(said)}\n`)
  }
}
