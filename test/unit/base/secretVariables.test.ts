import { hideSecrets } from '../../../deploy/print'
import { isSecret, SECRET_VARIABLES, secretsIn } from '../../../shared/base/secretVariables'
import { REFERRING_VARIABLES } from '../../../shared/tencent/names'
import { VARIABLES } from '../../../local/docs/variables'

const inside = (env: Record<string, string>) => secretsIn(env).map((secret) => secret.reveal())

test('what is listed is documented, and may be kept in Secrets Manager', () => {
  for (const name of SECRET_VARIABLES) expect([name, name in VARIABLES]).toEqual([name, true])
  expect(REFERRING_VARIABLES).toEqual(expect.arrayContaining([...SECRET_VARIABLES]))
})

test.each([
  ['CLOUD_PAY_APPS', '[{"app_id":"wx1","secret":"app-secret-of-wechat"}]', ['app-secret-of-wechat']],
  [
    'DATABASE_URL',
    'mysql://payer:p%40ss-password@db.example.com/orders',
    ['p%40ss-password', 'p@ss-password'],
  ],
  ['MERCHANT_WEBHOOK_URL', 'https://shop.example.com/hook?token=t-0123456789', ['t-0123456789']],
  // Nobody's list has these: their shapes tell.
  ['MY_AUTHORIZE', '{"client_secret":"of-somebody-else-1"}', ['of-somebody-else-1']],
  ['PROXY', 'http://me:proxy-password@proxy.example.com:3128', ['proxy-password']],
  ['SIGNER', `-----BEGIN ${'RSA'} PRIVATE KEY-----\nMIIB`, []],
  ['TENCENTCLOUD_SECRETKEY', 'the-key-of-the-role', []],
])('%s is secret, and so is what is secret in it', (name, value, parts) => {
  expect(isSecret(name, value)).toBe(true)
  expect(inside({ [name]: value })).toEqual(expect.arrayContaining([value, ...parts]))
})

test.each([
  ['DATABASE_URL', 'ssm:cloud-pay-prod-database-url'],
  ['CLOUD_PAY_BASE_URL', 'https://pay.qcloud.com/cpay/'],
  ['CLOUD_PAY_OUT_MCH_ID', 'mch1'],
  ['PAYER_PRICES', 'quote,catalogue'],
  ['OTHER_TILLS', '[{"device_id":"till-01"}]'],
])('%s=%s may be read', (name, value) => {
  expect(isSecret(name, value)).toBe(false)
  expect(inside({ [name]: value })).toEqual([])
})

test('a short value of a name that nobody listed is not struck out of every line it is a word of', () => {
  expect(inside({ KEYBOARD: 'german', CLOUD_PAY_AUTHEN_KEY: 'short-1' })).toEqual(['short-1'])
})

test('sls print shows none of it, wherever an environment stands', () => {
  const environment = {
    CLOUD_PAY_APPS: '[{"app_id":"wx1","secret":"s"}]',
    MERCHANT_WEBHOOK_URL: 'https://shop.example.com/hook?token=t',
    CLOUD_PAY_OUT_MCH_ID: 'mch1',
    DATABASE_URL: 'ssm:x',
    SESSION_KEYS: null,
  }
  const config = { custom: { stage: { environment } }, functions: { one: { environment: { TOKEN: 't' } } } }
  hideSecrets(config)
  expect(config).toEqual({
    custom: {
      stage: {
        environment: { ...environment, CLOUD_PAY_APPS: '***', MERCHANT_WEBHOOK_URL: '***' },
      },
    },
    functions: { one: { environment: { TOKEN: '***' } } },
  })
})
