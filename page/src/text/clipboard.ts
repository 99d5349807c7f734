/** Whether `text` is on the clipboard now. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyTheOldWay(text)
  }
}

/** On a plain http address of one's network there is no navigator.clipboard. */
function copyTheOldWay(text: string): boolean {
  const area = document.createElement("textarea")
  area.value = text
  area.className = "unseen"
  document.body.append(area)
  area.select()
  try {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way that is left there
    return document.execCommand("copy")
  } finally {
    area.remove()
  }
}
