import corpus from "./hostile.json"

/** Text that would do something, were it HTML. The browser's tests have the same. */
export const HOSTILE: readonly string[] = corpus
