/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  maxWorkers: '100%',
  // Not what a test takes, but when it is given up: a busy machine may be ten times as slow.
  testTimeout: 120_000,
  // Looks through every log, error, address and answer for what must not be seen.
  setupFilesAfterEnv: ['<rootDir>/test/support/watch.ts'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }],
    'node_modules/(jose|qr|marked)/.*\\.js$': ['@swc/jest', { jsc: { target: 'es2022' } }],
  },
  // These come as ES modules alone.
  transformIgnorePatterns: ['/node_modules/(?!(jose|qr|marked)/)'],
  modulePathIgnorePatterns: ['<rootDir>/.build/'],
}
