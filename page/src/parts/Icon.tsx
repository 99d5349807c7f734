/** Line drawings of 24 by 24; what they mean is said in words beside them, or in a label. */
const PATHS = {
  chat: "M4 5h16v11H9l-5 4z",
  streams: "M3 7h18M3 12c5 0 5 3 9 3s4-3 9-3M3 18c5 0 5 2 9 2",
  wire: "M4 6h4v4H4zM4 14h4v4H4zM11 8h9M11 16h9",
  read: "M5 4h14v16H5zM8 8h8M8 12h8M8 16h5",
  send: "M4 12l16-8-6 16-3-6z",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  retry: "M20 11a8 8 0 1 0-2 6M20 4v7h-7",
  edit: "M4 20l1-5L16 4l4 4L9 19z",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  plus: "M12 5v14M5 12h14",
  check: "M5 13l4 4L19 7",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.5",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  menu: "M4 7h16M4 12h16M4 17h16",
  down: "M6 9l6 6 6-6",
  left: "M15 6l-6 6 6 6",
  right: "M9 6l6 6-6 6",
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}
