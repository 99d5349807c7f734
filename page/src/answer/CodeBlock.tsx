import { useEffect, useRef } from "preact/hooks"
import { CopyButton } from "../parts/buttons"

interface Props {
  readonly code: string
  readonly language: string
  /** A fence that still grows is not coloured: it would be done again with each token. */
  readonly finished: boolean
}

export function CodeBlock({ code, language, finished }: Props) {
  const element = useRef<HTMLElement>(null)
  useEffect(() => {
    if (!finished || language === "") return
    let shown = true
    void import("../markdown/highlight").then(({ highlighted }) => {
      const fragment = shown ? highlighted(code, language) : undefined
      if (fragment !== undefined) element.current?.replaceChildren(fragment)
    }, () => undefined) // Without its colours it is the same code.
    return () => (shown = false)
  }, [code, language, finished])
  return (
    <div class="code">
      <div class="code-head">
        <span>{language}</span>
        <CopyButton text={() => code} />
      </div>
      <pre tabIndex={0}>
        <code ref={element}>{code}</code>
      </pre>
    </div>
  )
}
