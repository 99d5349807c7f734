import type { RefObject } from "preact"
import { useCallback, useEffect } from "preact/hooks"

const NEAR_PX = 80

/** Keeps the end in sight while what is there grows, unless a person has scrolled away from it. */
export function useStickyEnd(
  scroller: RefObject<HTMLElement | null>,
  content: RefObject<HTMLElement | null>,
): () => void {
  useEffect(() => {
    const box = scroller.current
    const inner = content.current
    if (box === null || inner === null) return
    let stuck = true
    let before = 0
    const look = () => {
      // Only who goes up leaves the end; it runs away from everybody else while more comes.
      if (box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX) stuck = true
      else if (box.scrollTop < before) stuck = false
      before = box.scrollTop
    }
    const observer = new ResizeObserver(() => {
      if (stuck) box.scrollTop = box.scrollHeight
    })
    observer.observe(inner)
    box.addEventListener("scroll", look, { passive: true })
    return () => {
      observer.disconnect()
      box.removeEventListener("scroll", look)
    }
  }, [scroller, content])
  return useCallback(() => {
    const box = scroller.current
    if (box !== null) box.scrollTop = box.scrollHeight
  }, [scroller])
}
