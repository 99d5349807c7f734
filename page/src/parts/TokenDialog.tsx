import { useEffect, useRef } from "preact/hooks"
import { t } from "../i18n"
import { tokenWanted, useToken } from "../wire/token"

/** Asks for the server's token, once it has refused us without one. */
export function TokenDialog() {
  const dialog = useRef<HTMLDialogElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const wanted = tokenWanted.value
  useEffect(() => {
    if (wanted) dialog.current?.showModal()
    else dialog.current?.close()
  }, [wanted])
  const submit = (event: Event) => {
    event.preventDefault()
    const given = field.current?.value.trim() ?? ""
    if (given !== "") useToken(given)
  }
  return (
    <dialog ref={dialog} aria-labelledby="token-title" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={submit}>
        <h2 id="token-title">{t("token.title")}</h2>
        <p>{t("token.why")}</p>
        <label>
          {t("token.label")}
          <input ref={field} type="password" autocomplete="off" spellcheck={false} required />
        </label>
        <button type="submit" class="button primary">{t("token.use")}</button>
      </form>
    </dialog>
  )
}
