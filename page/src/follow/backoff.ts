const FIRST_MS = 500
const MOST_MS = 15_000

/**
 * How long to wait before the next attempt, the first being number 0. All of the wait is random, so
 * that the tabs of a server that was restarted do not come back in one moment.
 */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 10))
  return Math.round(ceiling * (0.3 + 0.7 * random()))
}
