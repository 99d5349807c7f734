import { t, tMaybe } from "../i18n"
import { Icon } from "./Icon"

/** How a stream ended, in a word; without an ending it is still open. */
export function EndingBadge({ kind }: { kind: string | null }) {
  if (kind === null) return <span class="badge open"><span class="pulse" aria-hidden="true" />{t("open")}</span>
  const whole = kind === "completed"
  return (
    <span class={whole ? "badge whole" : "badge broken"}>
      <Icon name={whole ? "check" : "warning"} />
      {tMaybe(`ending.${kind}`, kind)}
    </span>
  )
}
