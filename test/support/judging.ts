/** What the races and the simulator judge by alike. */

/** Logged by a fault of ours, never by the weather. */
export const MISTAKES = /TypeError|RangeError|ReferenceError|no order moves from|row has vanished/
