import { Component } from "preact"
import { useLayoutEffect, useMemo, useRef } from "preact/hooks"
import { type Block, GrowingMarkdown } from "../markdown/blocks"
import { safeFragment } from "../markdown/fragment"
import { blockHtml } from "../markdown/html"
import { CodeBlock } from "./CodeBlock"

/** Markdown that may still grow. `text` only ever gets longer. */
export function Markdown({ text, ended }: { text: string; ended: boolean }) {
  const growing = useMemo(() => new GrowingMarkdown(), [])
  const { finished, rest } = ended
    ? { finished: growing.end(text), rest: [] }
    : growing.update(text)
  return (
    <div class="markdown">
      {finished.map((block, index) => <BlockView key={index} block={block} finished />)}
      {rest.map((block, index) => (
        <BlockView key={finished.length + index} block={block} finished={false} />
      ))}
    </div>
  )
}

interface BlockProps {
  readonly block: Block
  readonly finished: boolean
}

/** Made once for what its Markdown is: a block that is finished is never made again. */
class BlockView extends Component<BlockProps> {
  override shouldComponentUpdate({ block, finished }: BlockProps): boolean {
    return block.raw !== this.props.block.raw || finished !== this.props.finished
  }

  override render({ block, finished }: BlockProps) {
    const { token } = block
    if (token.type !== "code") return <Html html={blockHtml(token)} />
    const { text, lang } = token as { text: string; lang?: string }
    const language = /^[\w+#-]{1,30}/.exec(lang ?? "")?.[0].toLowerCase() ?? ""
    return <CodeBlock code={text} language={language} finished={finished} />
  }
}

function Html({ html }: { html: string }) {
  const element = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => element.current?.replaceChildren(safeFragment(html)), [html])
  return <div class="block" ref={element} />
}
