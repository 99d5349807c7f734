import { useEffect, useState } from "preact/hooks"
import { follower } from "../follow"
import { t } from "../i18n"

/** Whether what is shown is live. Said to screen readers when it changes, not every second. */
export function StatusLine() {
  const connection = follower.connection.value
  const waiting = connection.state === "waiting"
  return (
    <p class={`status ${connection.state}`} role="status">
      <span class="dot" aria-hidden="true" />
      <span>{waiting ? t("status.waiting") : t(`status.${connection.state}`)}</span>
      {waiting && <Countdown until={connection.until} />}
      {waiting && (
        <button type="button" class="button link" onClick={() => follower.hurry()}>
          {t("status.now")}
        </button>
      )}
    </p>
  )
}

function Countdown({ until }: { until: number }) {
  const [left, setLeft] = useState(() => until - Date.now())
  useEffect(() => {
    const tick = () => setLeft(until - Date.now())
    tick()
    const timer = setInterval(tick, 500)
    return () => clearInterval(timer)
  }, [until])
  return <span aria-hidden="true">{t("status.in", { seconds: Math.max(0, Math.ceil(left / 1000)) })}</span>
}
