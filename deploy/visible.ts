/** Characters that would move a terminal's cursor, colour or rename it, or turn a line round. */
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Text of other people as a terminal may show it: what steers the terminal is written out, as JSON writes it. */
export const visible = (text: string): string =>
  text.replaceAll(STEERING, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
