/** What we use of jose, and no more of it in the bundle. Loaded when the first quote comes: see quote.ts. */
export { compactVerify, decodeProtectedHeader, importJWK } from 'jose'
