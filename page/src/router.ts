import { signal } from "@preact/signals"

/** The page's address, below /page/: what is shown follows from it and from nothing else. */
export const path = signal(location.pathname)

export const BASE = "/page/"

export function navigate(to: string, how: "push" | "replace" = "push"): void {
  if (to === location.pathname + location.search) return
  history[how === "push" ? "pushState" : "replaceState"](null, "", to)
  path.value = location.pathname
}

addEventListener("popstate", () => (path.value = location.pathname))

// Links of ours are links: they can be opened in a new tab. Only a plain click stays in this one.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0) return
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = event.target instanceof Element ? event.target.closest("a") : null
  if (link === null || link.target !== "" || link.origin !== location.origin) return
  if (!link.pathname.startsWith(BASE)) return
  event.preventDefault()
  navigate(link.pathname + link.search)
})

/** The view's name and what is after it, decoded: /page/wire/a/b%20c is wire and "a/b c". */
export function parsePath(pathname: string): { view: string; rest: string } {
  const inside = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : ""
  const [view = "", ...rest] = inside.split("/")
  return { view, rest: rest.map(decoded).join("/") }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
