// The suite's own command finds no tests, because vitest passes over node_modules: so it is
// called from here. Its URL and its patience come from whoever started the server.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

const baseUrl = process.env.TAILRACE_URL
if (!baseUrl) throw new Error("TAILRACE_URL must be the URL of a running server")

runConformanceTests({ baseUrl, longPollTimeoutMs: 500 })
