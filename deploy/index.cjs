// `sls` loads CommonJS. From here on it is TypeScript, run as it stands: nothing has to be built before.
require('tsx/cjs')
module.exports = require('./plugin.ts').default
