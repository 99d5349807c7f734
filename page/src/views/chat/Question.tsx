import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { t } from "../../i18n"
import { CopyButton, IconButton } from "../../parts/buttons"
import { sends } from "./Composer"

interface Props {
  readonly text: string
  readonly editable: boolean
  readonly onEdit: (text: string) => Promise<void>
}

/** What a person asked. Edited, it takes the place of itself and of all that came after it. */
export function Question({ text, editable, onEdit }: Props) {
  const [editing, setEditing] = useState(false)
  if (editing) {
    return (
      <Editor
        text={text}
        onCancel={() => setEditing(false)}
        onSave={(edited) => {
          setEditing(false)
          void onEdit(edited).catch(() => undefined)
        }}
      />
    )
  }
  return (
    <div class="question">
      <p class="plain">{text}</p>
      <span class="actions">
        <CopyButton text={() => text} label={t("copyQuestion")} />
        {editable && <IconButton icon="edit" label={t("edit")} onClick={() => setEditing(true)} />}
      </span>
    </div>
  )
}

interface EditorProps {
  readonly text: string
  readonly onSave: (text: string) => void
  readonly onCancel: () => void
}

function Editor({ text, onSave, onCancel }: EditorProps) {
  const area = useRef<HTMLTextAreaElement>(null)
  useLayoutEffect(() => area.current?.focus(), [])
  const save = () => {
    const edited = area.current?.value.trim() ?? ""
    if (edited !== "") onSave(edited)
  }
  return (
    <form class="question editing" onSubmit={(event) => { event.preventDefault(); save() }}>
      <textarea
        ref={area}
        rows={3}
        defaultValue={text}
        aria-label={t("edit")}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel()
          if (!sends(event)) return
          event.preventDefault()
          save()
        }}
      />
      <p class="note">{t("editNote")}</p>
      <span class="actions">
        <button type="button" class="button" onClick={onCancel}>{t("cancel")}</button>
        <button type="submit" class="button primary">{t("send")}</button>
      </span>
    </form>
  )
}
