import { loginCount, untilLoggedIn } from "./login"

/** What the server said no to, in its own words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** The server was not reached. */
export class Unreachable extends Error {}

// Says that a request is the page's, where a browser does not: plain HTTP of another machine.
const OURS = { "Tailrace-Page": "1" }

/**
 * A request to our server. Where it wants a token, that is asked for and the request sent again.
 * Raises Refused and Unreachable; an abort raises what fetch raises.
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const before = loginCount()
    const headers = { ...(init.headers as Record<string, string> | undefined), ...OURS }
    const response = await reach(path, { ...init, headers })
    if (response.ok) return response
    if (response.status !== 401) throw await refusal(response)
    await response.body?.cancel()
    // Somebody may have logged in while this request was on its way.
    if (before === loginCount()) await untilLoggedIn()
  }
}

export async function requestJson(path: string, init: RequestInit = {}): Promise<unknown> {
  return (await request(path, init)).json()
}

/** `init` for a body of JSON. */
export function json(method: string, body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  }
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    // What a stream has so far may be kept by caches; a page wants what it has now.
    return await fetch(path, { cache: "no-store", ...init })
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new Unreachable("The server was not reached.")
  }
}

/** Errors have one shape under /v1 and another elsewhere; see docs/errors.md. */
async function refusal(response: Response): Promise<Refused> {
  const text = await response.text()
  let code = ""
  let message = text.slice(0, 500)
  try {
    const body = JSON.parse(text) as { code?: string; detail?: string; error?: { code?: string; message?: string } }
    code = body.code ?? body.error?.code ?? ""
    message = body.detail ?? body.error?.message ?? message
  } catch {
    // Not ours: a proxy's page, say. Its text has to do.
  }
  return new Refused(response.status, code, message === "" ? `HTTP ${response.status}` : message)
}
