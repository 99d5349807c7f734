import { Follower } from "./follower"

/** One for the page. */
export const follower = new Follower()

addEventListener("online", () => follower.hurry())
addEventListener("pageshow", () => follower.hurry())
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") follower.wake()
  else follower.rest()
})
