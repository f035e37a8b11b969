const { readdirSync } = require('node:fs')
const { join } = require('node:path')

/** Asked only where the stage has no file: says which have one. `local` is for this machine, and never deployed. */
module.exports = async ({ resolveVariable }) => {
  const stage = await resolveVariable('sls:stage')
  const there = readdirSync(join(__dirname, 'stages')).map((file) => file.replace(/\.yml$/, ''))
  const error = new Error(`there is no deploy/stages/${stage}.yml; there are: ${there.join(', ')}`)
  // sls prints it.
  error.stack = error.message
  throw error
}
