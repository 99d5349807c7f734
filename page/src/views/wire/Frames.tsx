import { memo } from "../../parts/memo"
import { useRef } from "preact/hooks"
import { t } from "../../i18n"
import { IconButton } from "../../parts/buttons"
import { clock } from "../../text/format"
import type { Frame } from "../../wire/history"
import { useStickyEnd } from "../../parts/useStickyEnd"

interface Props {
  readonly frames: readonly Frame[]
  readonly onResume: (offset: string) => void
}

export function Frames({ frames, onResume }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLOListElement>(null)
  useStickyEnd(scroller, content)
  return (
    <div class="frames" ref={scroller} tabIndex={0} role="region" aria-label={t("wire.frames")}>
      <ol ref={content}>
        {frames.map((frame, index) => (
          <FrameRow key={frame.id} frame={frame} before={frames[index - 1]?.time ?? 0} onResume={onResume} />
        ))}
      </ol>
    </div>
  )
}

interface RowProps {
  readonly frame: Frame
  readonly before: number
  readonly onResume: (offset: string) => void
}

const FrameRow = memo(function FrameRow({ frame, before, onResume }: RowProps) {
  const { id, time, type, data } = frame
  const since = before === 0 ? "" : `+${Math.max(0, time - before)} ms`
  return (
    <li class={type === "" ? "frame" : `frame typed ${type === "end" ? "last" : ""}`}>
      <span class="frame-time">{clock(time)}<span class="muted"> {since}</span></span>
      <span class="frame-text">
        <span class="field">id: <span class="value">{id}</span></span>
        {type !== "" && <span class="field">event: <span class="value">{type}</span></span>}
        {data.split(/\r\n|\r|\n/).map((line, index) => (
          <span key={index} class="field">data: <span class="value">{line}</span></span>
        ))}
      </span>
      {type !== "end" && <IconButton icon="play" label={t("wire.resumeHere")} onClick={() => onResume(id)} />}
    </li>
  )
}, (a, b) => a.frame === b.frame && a.before === b.before)
