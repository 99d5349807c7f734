// Vercel's AI SDK with three of its providers, one of them in two ways: each takes every step.
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { generateText, jsonSchema, Output, streamText, tool } from "ai"
import {
  all, CANCEL, CITY, leaving, MANY, newKey, PROMPT, run, runSteps, schema, SOME, WEATHER,
} from "./steps.mjs"

globalThis.AI_SDK_LOG_WARNINGS = false

/** The providers, told where Tailrace is: a model's name becomes a model. */
function providers(address) {
  const told = { baseURL: address.openai, apiKey: "any" }
  const openai = createOpenAI(told)
  return {
    chat: openai.chat,
    response: openai.responses,
    compatible: createOpenAICompatible({ ...told, name: "any", supportsStructuredOutputs: true }),
    message: createAnthropic({ baseURL: `${address.anthropic}/v1`, apiKey: "any" }),
  }
}

const ask = (model, more) =>
  streamText({ model, prompt: PROMPT, maxOutputTokens: SOME, onError: () => {}, ...more })

/** Every part as it came; but parts of the transport's own say nothing of the answer. */
const parts = async (answer) => (await all(answer.stream)).map(withoutTransport)

function withoutTransport(part) {
  if (part.error) return { ...part, error: { name: part.error.name, message: part.error.message } }
  const { request, response, performance, ...rest } = part
  return response ? { ...rest, response: { id: response.id, modelId: response.modelId } } : rest
}

function tools(model) {
  const weather = tool({ description: "The weather", inputSchema: jsonSchema(schema) })
  const asked = { prompt: WEATHER, tools: { weather }, toolChoice: "required" }
  return parts(ask(model, { ...asked, maxOutputTokens: MANY / 10 }))
}

async function structured(model) {
  const output = Output.object({ schema: jsonSchema(schema) })
  const answer = await generateText({ model, prompt: CITY, output, maxOutputTokens: MANY / 10 })
  return answer.output
}

async function abort(model) {
  const leave = new AbortController()
  const asked = { maxOutputTokens: MANY, headers: CANCEL, abortSignal: leave.signal }
  const answer = ask(model, asked)
  const { seen, ended } = await leaving(answer.textStream, () => leave.abort())
  return { seen, ended, last: (await all(answer.stream)).at(-1).type }
}

const retry = (model) => parts(ask(model, { maxRetries: 2 }))

// By its key: the same request again gives the same answer, from its beginning.
async function resume(model) {
  const asked = { maxOutputTokens: MANY / 10 }
  if (!run.resumes) return parts(ask(model, asked))
  const [headers, leave] = [newKey(), new AbortController()]
  const first = ask(model, { ...asked, headers, abortSignal: leave.signal })
  const { seen } = await leaving(first.textStream, () => leave.abort())
  const again = await parts(ask(model, { ...asked, headers }))
  const texts = again.filter((each) => each.type === "text-delta").map((each) => each.text)
  if (!texts.join("").startsWith(seen.join(""))) throw new Error("another answer")
  return again
}

function stepsOf(name, plain, refusing) {
  const steps = {
    streaming: () => parts(ask(plain(run.model))),
    tools: () => tools(plain(run.model)),
    structured: () => structured(plain(run.model)),
    abort: () => abort(plain(run.endless_model)),
    retry: () => retry(refusing(`${run.refused_model}-${name}`)),
    resume: () => resume(plain(run.halting_model)),
  }
  return Object.entries(steps).map(([step, take]) => [`${step} (${name})`, take])
}

const [plain, refusing] = [providers(run.address), providers(run.refusing)]
const names = Object.keys(plain)
await runSteps(
  Object.fromEntries(names.flatMap((name) => stepsOf(name, plain[name], refusing[name]))),
)
