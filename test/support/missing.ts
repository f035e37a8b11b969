/**
 * Whether the tests of a server have to be left out, because this machine has not got it. Says so aloud, and where
 * REQUIRE_SERVERS=1 asks for every server it is a failure. To be called while tests are being described.
 */
export function isMissing(name: string, program: string | undefined): boolean {
  if (program !== undefined) return false
  if (process.env.REQUIRE_SERVERS === '1') {
    test('is installed', () => {
      throw new Error(`${name} is not installed, and REQUIRE_SERVERS=1 asks for it`)
    })
  } else {
    process.stderr.write(`SKIPPED: ${name} is not installed (REQUIRE_SERVERS=1 makes this a failure)\n`)
    test.skip('is not installed', () => {})
  }
  return true
}
