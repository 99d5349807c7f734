import { signal } from "@preact/signals"

const KEY = "tailrace-token"

/**
 * The server's token, where it wants one. It is kept for this tab and until the tab is closed: not
 * in a cookie, which browsers send for anybody, and not in a URL, which ends up in histories.
 */
export const token = signal(read())

/** Whether the server has refused us for want of it. */
export const tokenWanted = signal(false)

let waiting: (() => void)[] = []

export function useToken(text: string): void {
  token.value = text
  try {
    sessionStorage.setItem(KEY, text)
  } catch {
    // A browser that keeps nothing: then it is asked for again after a refresh.
  }
  tokenWanted.value = false
  for (const go of waiting) go()
  waiting = []
}

/** Resolves once a person has given a token. Whoever waits is let go together. */
export function anotherToken(): Promise<void> {
  tokenWanted.value = true
  return new Promise((resolve) => waiting.push(resolve))
}

export function authorization(): Record<string, string> {
  return token.value === "" ? {} : { Authorization: `Bearer ${token.value}` }
}

function read(): string {
  try {
    return sessionStorage.getItem(KEY) ?? ""
  } catch {
    return ""
  }
}
