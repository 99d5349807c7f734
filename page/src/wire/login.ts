import { signal } from "@preact/signals"

/**
 * The server's token is exchanged for a cookie that no script can read, this one included; the
 * token itself is kept nowhere. Whether there is a cookie is remembered beside it, for all tabs.
 */
const KEY = "tailrace-logged-in"

/** Whether this browser has logged in, as far as is known. */
export const loggedIn = signal(read())

/** Whether the server has refused us for want of the token. */
export const loginWanted = signal(false)

export class HttpError extends Error {}

let logins = 0
let waiting: (() => void)[] = []

/** How often somebody has logged in since the page was opened. */
export function loginCount(): number {
  return logins
}

/**
 * Give the server the token; false where it is another one. Raises what fetch raises, and an
 * HttpError where the server has something else against it.
 */
export async function logIn(token: string): Promise<boolean> {
  const response = await post("/page/login", JSON.stringify({ token }))
  if (response.status === 401) return false
  if (!response.ok) throw new HttpError(`HTTP ${response.status}`)
  remember(true)
  letIn()
  return true
}

/** Have the browser forget the cookie. Raises what fetch raises. */
export async function logOut(): Promise<void> {
  await post("/page/logout", "")
  remember(false)
}

/** Resolves once somebody has logged in, in any tab. Whoever waits is let go together. */
export function untilLoggedIn(): Promise<void> {
  remember(false)
  loginWanted.value = true
  return new Promise((resolve) => waiting.push(resolve))
}

function post(path: string, body: string): Promise<Response> {
  return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body })
}

function letIn(): void {
  logins += 1
  loginWanted.value = false
  for (const go of waiting) go()
  waiting = []
}

function remember(yes: boolean): void {
  if (loggedIn.value === yes) return
  loggedIn.value = yes
  try {
    if (yes) localStorage.setItem(KEY, "yes")
    else localStorage.removeItem(KEY)
  } catch {
    // A browser that keeps nothing: then it cannot log out, but closing it does.
  }
}

function read(): boolean {
  try {
    return localStorage.getItem(KEY) === "yes"
  } catch {
    return false
  }
}

if (typeof window !== "undefined") {
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY) return
    loggedIn.value = event.newValue === "yes"
    if (loggedIn.value) letIn()
  })
}
