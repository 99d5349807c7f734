import type { ComponentChildren } from "preact"
import { useEffect, useState } from "preact/hooks"
import { t } from "../i18n"
import { copyText } from "../text/clipboard"
import { Icon, type IconName } from "./Icon"

interface IconButtonProps {
  readonly icon: IconName
  readonly label: string
  readonly onClick: () => void
  readonly disabled?: boolean
  readonly children?: ComponentChildren
}

/** A button that is a drawing; with children it has words beside it. */
export function IconButton({ icon, label, onClick, disabled = false, children }: IconButtonProps) {
  return (
    <button type="button" class="button quiet" title={label} aria-label={label} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
      {children}
    </button>
  )
}

const SHOWN_MS = 1500
const ARMED_MS = 4000

export function CopyButton({ text, label = t("copy") }: { text: () => string; label?: string }) {
  const [copied, setCopied] = useForAWhile(SHOWN_MS)
  const copy = () => void copyText(text()).then((done) => setCopied(done))
  return (
    <IconButton icon={copied ? "check" : "copy"} label={copied ? t("copied") : label} onClick={copy} />
  )
}

/** What cannot be taken back wants two clicks; the second has its own words. */
export function ConfirmButton({ label, onConfirm }: { label: string; onConfirm: () => void }) {
  const [armed, setArmed] = useForAWhile(ARMED_MS)
  if (!armed) return <IconButton icon="trash" label={label} onClick={() => setArmed(true)} />
  return (
    <button type="button" class="button danger" onClick={onConfirm} onBlur={() => setArmed(false)}>
      {t("reallyDelete")}
    </button>
  )
}

function useForAWhile(ms: number): [boolean, (on: boolean) => void] {
  const [on, set] = useState(false)
  useEffect(() => {
    if (!on) return
    const timer = setTimeout(() => set(false), ms)
    return () => clearTimeout(timer)
  }, [on, ms])
  return [on, set]
}
