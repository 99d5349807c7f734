// OpenAI's SDK for JavaScript: chats and responses.
import OpenAI from "openai"
import {
  all, CANCEL, CITY, FEW, KEEP, leaving, MANY, newKey, PROMPT, run, runSteps, schema, SOME, WEATHER,
} from "./steps.mjs"

const client = new OpenAI({ baseURL: run.address.openai, apiKey: "any" })
const says = (content) => [{ role: "user", content }]
const exactly = { temperature: 0, seed: 7 }

const chat = (more, options, to = client) =>
  to.chat.completions.create(
    { model: run.model, messages: says(PROMPT), max_tokens: SOME, stream: true, ...exactly, ...more },
    options,
  )

const response = (more, options) =>
  client.responses.create(
    { model: run.model, input: PROMPT, max_output_tokens: SOME, stream: true, temperature: 0, ...more },
    options,
  )

async function tools() {
  const events = client.chat.completions.stream({
    model: run.model,
    messages: says(WEATHER),
    tools: [{ type: "function", function: { name: "weather", parameters: schema } }],
    tool_choice: "required",
    ...exactly,
  })
  return [await all(events), await events.finalMessage()]
}

const toolsOfAResponse = async () =>
  all(
    await response({
      input: WEATHER,
      max_output_tokens: MANY / 10,
      tools: [{ type: "function", name: "weather", parameters: schema, strict: true }],
      tool_choice: "required",
    }),
  )

async function structured() {
  const answer = await client.chat.completions.parse({
    model: run.model,
    messages: says(CITY),
    response_format: { type: "json_schema", json_schema: { name: "city", strict: true, schema } },
    ...exactly,
  })
  return JSON.parse(answer.choices[0].message.content)
}

async function structuredResponse() {
  const answer = await client.responses.parse({
    model: run.model,
    input: CITY,
    text: { format: { type: "json_schema", name: "city", strict: true, schema } },
    max_output_tokens: SOME,
    temperature: 0,
  })
  return JSON.parse(answer.output_text)
}

async function abort() {
  const answer = await chat({ model: run.endless_model, max_tokens: MANY }, { headers: CANCEL })
  return leaving(answer, () => answer.controller.abort())
}

async function abortOfAResponse() {
  const leave = new AbortController()
  const asked = { model: run.endless_model, max_output_tokens: MANY }
  const answer = await response(asked, { headers: CANCEL, signal: leave.signal })
  return leaving(answer, () => leave.abort())
}

async function retry() {
  const patient = new OpenAI({ baseURL: run.refusing.openai, apiKey: "any", maxRetries: 2 })
  return all(await chat({ model: `${run.refused_model}-chat` }, {}, patient))
}

const text = (chunks) => chunks.map((each) => each.choices[0]?.delta?.content ?? "").join("")

// A chat by its key: the same request again gives the same answer, from its beginning.
async function resume() {
  const asked = { model: run.halting_model, max_tokens: MANY / 10 }
  if (!run.resumes) return text(await all(await chat(asked)))
  const options = { headers: newKey() }
  const first = await chat(asked, options)
  const { seen } = await leaving(first, () => first.controller.abort())
  const again = await all(await chat(asked, options))
  if (JSON.stringify(again.slice(0, FEW)) !== JSON.stringify(seen)) throw new Error("another answer")
  return text(again)
}

// A response by its id: what follows the last event that was seen.
async function resumeOfAResponse() {
  const asked = { model: run.halting_model, max_output_tokens: MANY / 10 }
  const first = await response(asked, { headers: KEEP })
  if (!run.resumes) return all(first)
  const { seen } = await leaving(first, () => first.controller.abort())
  const query = { stream: true, starting_after: FEW - 1 }
  return [...seen, ...(await all(await client.responses.retrieve(seen[0].response.id, query)))]
}

await runSteps({
  streaming: async () => all(await chat({ stream_options: { include_usage: true } })),
  streaming_without_usage: async () => all(await chat()),
  streaming_a_response: async () => all(await response()),
  tools,
  tools_of_a_response: toolsOfAResponse,
  structured,
  structured_response: structuredResponse,
  abort,
  abort_of_a_response: abortOfAResponse,
  retry,
  resume,
  resume_of_a_response: resumeOfAResponse,
})
