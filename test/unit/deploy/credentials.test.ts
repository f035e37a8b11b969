import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromEnvironment, fromProfile } from '../../../deploy/credentials'

test.each([
  [
    { TENCENTCLOUD_SECRET_ID: 'a', TENCENTCLOUD_SECRET_KEY: 'b' },
    { secretId: 'a', secretKey: 'b' },
  ],
  [
    { TENCENTCLOUD_SECRET_ID: 'a', TENCENTCLOUD_SECRET_KEY: 'b', TENCENTCLOUD_TOKEN: 'c' },
    { secretId: 'a', secretKey: 'b', token: 'c' },
  ],
  [
    { TENCENTCLOUD_SECRET_ID: 'a', TENCENTCLOUD_SECRET_KEY: 'b', TENCENTCLOUD_SESSION_TOKEN: 'c' },
    { secretId: 'a', secretKey: 'b', token: 'c' },
  ],
  [
    { TENCENT_SECRET_ID: 'a', TENCENT_SECRET_KEY: 'b', TENCENT_TOKEN: 'c' },
    { secretId: 'a', secretKey: 'b', token: 'c' },
  ],
  // A token of the one does not go with the keys of the other.
  [
    { TENCENT_SECRET_ID: 'a', TENCENT_SECRET_KEY: 'b', TENCENTCLOUD_TOKEN: 'c' },
    { secretId: 'a', secretKey: 'b' },
  ],
  [
    {
      ...{ TENCENTCLOUD_SECRET_ID: 'new', TENCENTCLOUD_SECRET_KEY: 'b' },
      ...{ TENCENT_SECRET_ID: 'old', TENCENT_SECRET_KEY: 'b' },
    },
    { secretId: 'new', secretKey: 'b' },
  ],
  [{ TENCENTCLOUD_SECRET_ID: 'a' }, undefined],
])('%j gives %j', (env, credential) => expect(fromEnvironment(env)).toEqual(credential))

test('the profile file is the SDK’s', () => {
  const home = mkdtempSync(join(tmpdir(), 'profile-'))
  expect(fromProfile(home)).toBeUndefined()
  mkdirSync(join(home, '.tencentcloud'))
  const write = (text: string) => writeFileSync(join(home, '.tencentcloud', 'credentials'), text)
  write('[other]\nsecret_id = x\nsecret_key = y\n[default]\r\nsecret_id = a\r\nsecret_key=b\r\n')
  expect(fromProfile(home)).toEqual({ secretId: 'a', secretKey: 'b' })
  write('[default]\nsecret_id = a\n')
  expect(fromProfile(home)).toBeUndefined()
})
