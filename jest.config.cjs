/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // Looks through every log, error, address and answer for what must not be seen.
  setupFilesAfterEnv: ['<rootDir>/test/support/watch.ts'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }],
    'node_modules/(jose|qr)/.*\\.js$': ['@swc/jest', { jsc: { target: 'es2022' } }],
  },
  // These come as ES modules alone.
  transformIgnorePatterns: ['/node_modules/(?!(jose|qr)/)'],
  modulePathIgnorePatterns: ['<rootDir>/.build/'],
}
