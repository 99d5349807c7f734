import { effect, signal } from "@preact/signals"

/** What a person chose for this browser. It may be read by other tabs of ours, and by nobody else. */
export function setting<T extends string>(key: string, fallback: T, allowed?: readonly T[]) {
  const kept = read(`tailrace-${key}`) as T | null
  const valid = kept !== null && (allowed === undefined || allowed.includes(kept))
  const value = signal<T>(valid ? kept : fallback)
  effect(() => write(`tailrace-${key}`, value.value))
  return value
}

export const theme = setting<"auto" | "light" | "dark">("theme", "auto", ["auto", "light", "dark"])

effect(() => {
  if (theme.value === "auto") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme.value
})

export function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

export function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // A browser that keeps nothing, or has no room: then it is chosen again next time.
  }
}
