// Make a stream, append to it as an exactly-once producer, and follow it to its end.
//   npm install @durable-streams/client && npx tsx follow.ts http://127.0.0.1:8080/streams/steps
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"

interface Step {
  step: number
  of: number
}

const url: string = process.argv[2]
const steps = await DurableStream.create({ url, contentType: "application/json" })

const producer = new IdempotentProducer(steps, "job-7")
for (let step = 1; step <= 5; step++) producer.append(JSON.stringify({ step, of: 5 }))
await producer.flush()
await steps.close()

// Any number of readers may do this, now or tomorrow, from any offset they had.
const reader = await stream<Step>({ url, offset: "-1", live: true })
for await (const { step, of } of reader.jsonStream()) console.log(`${step} of ${of}`)
