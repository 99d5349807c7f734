// The reference server of the Durable Streams protocol: port and folder are its arguments.
import { DurableStreamTestServer } from "@durable-streams/server"

const [port, dataDir] = process.argv.slice(2)
await new DurableStreamTestServer({ port: Number(port), host: "127.0.0.1", dataDir }).start()
