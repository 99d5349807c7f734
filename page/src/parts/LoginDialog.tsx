import { useEffect, useRef, useState } from "preact/hooks"
import { t } from "../i18n"
import { HttpError, logIn, loginWanted } from "../wire/login"

/** Asks for the server's token, once it has refused us without one. */
export function LoginDialog() {
  const dialog = useRef<HTMLDialogElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const [wrong, setWrong] = useState("")
  const wanted = loginWanted.value
  useEffect(() => {
    if (wanted) dialog.current?.showModal()
    else dialog.current?.close()
  }, [wanted])
  const submit = async (event: Event) => {
    event.preventDefault()
    const input = field.current
    const given = input?.value.trim() ?? ""
    if (input === null || given === "") return
    setWrong("")
    try {
      const right = await logIn(given)
      input.value = ""
      if (!right) setWrong(t("token.wrong"))
    } catch (error) {
      setWrong(error instanceof HttpError ? t("refused", { why: error.message }) : t("unreachable"))
    }
    input.focus()
  }
  return (
    <dialog ref={dialog} aria-labelledby="token-title" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="token-title">{t("token.title")}</h2>
        <p>{t("token.why")}</p>
        <label>
          {t("token.label")}
          <input ref={field} type="password" autocomplete="off" spellcheck={false} required
            aria-invalid={wrong !== ""} />
        </label>
        <p role="alert">{wrong}</p>
        <button type="submit" class="button primary">{t("token.use")}</button>
      </form>
    </dialog>
  )
}
