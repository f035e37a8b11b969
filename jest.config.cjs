/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // Looks through every log, error, address and answer for what must not be seen.
  setupFilesAfterEnv: ['<rootDir>/test/support/watch.ts'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }],
    'node_modules/jose/.*\\.js$': ['@swc/jest', { jsc: { target: 'es2022' } }],
  },
  // jose comes as ES modules alone.
  transformIgnorePatterns: ['/node_modules/(?!jose/)'],
  modulePathIgnorePatterns: ['<rootDir>/.build/'],
}
