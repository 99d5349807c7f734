import { signal } from "@preact/signals"
import { useEffect, useRef, useState } from "preact/hooks"
import { t } from "../../i18n"
import { Icon } from "../../parts/Icon"
import { setting } from "../../settings"
import { listModels } from "../../wire/api"

const models = signal<readonly string[]>([])
const chosen = setting<string>("model", "")

interface Props {
  readonly busy: boolean
  /** Rejects where the question did not get through: it is then still there to be sent again. */
  readonly onSend: (text: string, model: string) => Promise<void>
  readonly onStop: (() => void) | undefined
}

export function Composer({ busy, onSend, onStop }: Props) {
  const [text, setText] = useState("")
  const area = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    // On a phone the keyboard would cover what is there to be read.
    if (matchMedia("(hover: hover)").matches) area.current?.focus()
  }, [])
  const send = () => {
    const question = text.trim()
    if (busy || question === "") return
    setText("")
    // Not `Send` again by mistake: what a person has typed meanwhile is kept.
    onSend(question, modelNow()).catch(() => setText((typed) => (typed === "" ? question : typed)))
  }
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); send() }}>
      <label class="unseen" for="question">{t("question")}</label>
      <textarea
        id="question"
        ref={area}
        rows={2}
        value={text}
        placeholder={t("questionHint")}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (!sends(event)) return
          event.preventDefault()
          send()
        }}
      />
      <div class="composer-row">
        <ModelPicker />
        {onStop !== undefined && (
          <button type="button" class="button stop" onClick={onStop}><Icon name="stop" />{t("stop")}</button>
        )}
        <button type="submit" class="button primary" disabled={busy || text.trim() === ""}>
          <Icon name="send" />{t("send")}
        </button>
      </div>
    </form>
  )
}

/** Enter sends and Shift+Enter does not; the Enter that ends a Chinese word is the editor's own. */
export function sends(event: KeyboardEvent): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing
}

function modelNow(): string {
  return models.value.includes(chosen.value) ? chosen.value : (models.value[0] ?? "")
}

function ModelPicker() {
  useEffect(() => {
    if (models.value.length > 0) return
    // Without a list the server decides: a model need not be named.
    listModels().then((list) => (models.value = list), () => undefined)
  }, [])
  if (models.value.length === 0) return <span class="grow" />
  return (
    <label class="model grow">
      <span class="unseen">{t("model")}</span>
      <select value={modelNow()} onChange={(event) => (chosen.value = event.currentTarget.value)}>
        {models.value.map((model) => <option key={model} value={model}>{model}</option>)}
      </select>
    </label>
  )
}
