import { signal } from "@preact/signals"
import { follower } from "../../follow"
import type { Overview } from "../../follow/places"
import { extend, NO_SERIES, type Series } from "./history"

/** The latest; undefined until the first has come. */
export const overview = signal<Overview | undefined>(undefined)

/** Kept while another view is looked at: then it has a gap. */
export const series = signal<Series>(NO_SERIES)

export function followOverview(): () => void {
  return follower.overview((next) => {
    overview.value = next
    series.value = extend(series.value, next)
  })
}
