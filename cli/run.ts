import { visible } from '../deploy/visible'
import { striking } from '../shared/base/log'
import { secretsIn } from '../shared/base/secretVariables'

/** Runs a command with the process's arguments and ends with its exit code; 2 and the usage when called wrongly. */
export function runCommand(
  usage: string,
  command: (args: string[], print: (line: string) => void) => Promise<0 | 1 | 2>,
): void {
  // What is printed may be somebody's note.
  command(process.argv.slice(2), (line) => console.log(visible(line))).then(
    (exitCode) => {
      if (exitCode === 2) console.error(usage)
      process.exitCode = exitCode
    },
    (error: unknown) => {
      const wrongCall =
        error instanceof TypeError && 'code' in error && /^ERR_PARSE_ARGS/.test(String(error.code))
      // The chain of messages, not the objects: a driver's error may carry the connection's settings.
      const strike = striking(secretsIn(process.env))
      for (let cause = error; cause instanceof Error; cause = cause.cause)
        console.error(visible(strike(cause.message)))
      if (wrongCall) console.error(usage)
      process.exitCode = wrongCall ? 2 : 1
    },
  )
}
