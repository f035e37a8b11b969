import { explain } from './explain/command'

/** `npm run explain -- FILE [--sent FILE2]`: 0 when the envelope verifies, 1 when not, 2 when called wrongly. */
const { exitCode, lines } = explain(process.argv.slice(2), process.env)
const print = exitCode === 2 ? console.error : console.log
print(lines.join('\n'))
process.exitCode = exitCode
