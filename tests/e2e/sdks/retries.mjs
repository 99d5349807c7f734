// OpenAI's SDK for JavaScript with its own retries: the error that each of some models brings.
import OpenAI from "openai"

const { url, models } = JSON.parse(process.argv[2])
const client = new OpenAI({ baseURL: url, apiKey: "any" })

const refused = async (model) => {
  try {
    await client.chat.completions.create({ model, messages: [{ role: "user", content: "Hi" }] })
  } catch (error) {
    return [error.status, error.error]
  }
  return [200, null]
}

console.log(JSON.stringify(await Promise.all(models.map(refused))))
