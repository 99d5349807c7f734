/** `text` as one word of a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** What would read a stream from an offset on, without this page. */
export function curlCommand(url: string, offset: string, resumed: boolean): string {
  const place = resumed ? `-H ${quoted(`Last-Event-ID: ${offset}`)} ` : ""
  return `curl -N -H 'Accept: text/event-stream' ${place}${quoted(url)}`
}
