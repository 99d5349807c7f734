import type { ComponentChildren } from "preact"
import { t } from "../i18n"
import { Refused, Unreachable } from "../wire/http"
import { Icon } from "./Icon"

/** Something went wrong; children are what can be done. */
export function Problem({ error, children }: { error: unknown; children?: ComponentChildren }) {
  return (
    <div class="problem" role="alert">
      <Icon name="warning" />
      <span class="words">{inWords(error)}</span>
      {children}
    </div>
  )
}

export function inWords(error: unknown): string {
  if (error instanceof Unreachable) return t("unreachable")
  if (error instanceof Refused) return t("refused", { why: error.message })
  return error instanceof Error ? error.message : String(error)
}
