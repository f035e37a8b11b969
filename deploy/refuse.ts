import { referringNames } from '../shared/tencent/names'
import { DeployFault } from './fault'
import { NOTIFY, type Service, type WantedFunction } from './service'
import { listZip } from './zip'

/** What is refused before the first call, each with what to do instead. */

/** A request may have 10 MB, and base64 makes a third more of the zip. */
const ZIP_MAX = 7 * 1024 * 1024
export const ENVIRONMENT_MAX = 4096
const TIMERS_MAX = 10
const RESERVED_PREFIX = /^(SCF_|QCLOUD_|TENCENTCLOUD_)/
/** A door that hangs longer than this keeps instances from the notifications and the timer. */
const DOOR_TIMEOUT_MAX_S = 10
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z0-9]$/
const HANDLER = /^[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z0-9]\.main_handler$/

const NO_FILE =
  'and a function has none beside its own: put the PEM text, or ssm: and the name of a secret with it, into'

/** Everything that is wrong with the service, together. */
export function refuseService(service: Service): void {
  const faults = service.functions.flatMap(faultsOf)
  const open = service.functions.filter(isOpenDoor).map(({ key }) => key)
  if (open.length > 0)
    faults.push(
      `${open.join(', ')}: doors whose callers are not configured (CALLERS is open, or there are no keys). Set SESSION_KEYS ` +
        'for payers or MERCHANT_KEYS for servers in the stage file, or say CALLERS: own and give appOpener an authorize.',
    )
  if (service.customDomain?.protocol.includes('HTTPS') && !service.customDomain.certificateId) {
    faults.push(
      'provider.customDomain needs certificateId for HTTPS: take the id from the SSL certificate console.',
    )
  }
  if (faults.length > 0) throw new DeployFault(faults.join('\n'), 'REFUSED')
}

function faultsOf(wanted: WantedFunction): string[] {
  const { key, name, handler, configuration, triggers, routes } = wanted
  const faults: string[] = []
  if (!NAME.test(name))
    faults.push(
      `${name} is no function name (2 to 60 letters, digits, - and _): shorten service or functions.${key}.`,
    )
  if (!HANDLER.test(handler))
    faults.push(
      `functions.${key}.handler is ${handler}: it must be FILE.main_handler, with the file in the root of the zip.`,
    )
  if (triggers.some(({ type }) => type === 'http') && configuration.timeout > DOOR_TIMEOUT_MAX_S)
    faults.push(
      `functions.${key}.timeout is ${configuration.timeout} s: a door may take ${DOOR_TIMEOUT_MAX_S} s.`,
    )

  const timers = triggers.filter(({ type }) => type === 'timer').length
  if (timers > TIMERS_MAX)
    faults.push(`functions.${key} has ${timers} timers: the platform takes ${TIMERS_MAX} for one function.`)

  if (key === NOTIFY && triggers.some((one) => one.type === 'http' && one.authType !== 'NONE'))
    faults.push('functions.notify needs authType NONE: Cloud Pay cannot sign its notifications for CAM.')

  if (key === NOTIFY && routes.some(({ path }) => path !== `/${NOTIFY}`))
    faults.push(`functions.notify answers at /${NOTIFY}: give its http event that path.`)

  const { environment, role } = configuration
  const references = referringNames(environment)
  if (references.length > 0 && !role)
    faults.push(
      `${references.join(', ')} of functions.${key} refer to secrets that no role may read: set role in the stage file ` +
        '(deploy/policies says what it may do).',
    )
  if (environment['CLOUD_PAY_CA_FILE'])
    faults.push(`CLOUD_PAY_CA_FILE of functions.${key} names a file, ${NO_FILE} CLOUD_PAY_CA.`)
  if (/[?&]ca=/.test(environment['DATABASE_URL'] ?? ''))
    faults.push(`The ca in DATABASE_URL of functions.${key} names a file, ${NO_FILE} DATABASE_CA.`)
  for (const variable of Object.keys(environment).filter((one) => RESERVED_PREFIX.test(one)))
    faults.push(
      `${variable} of functions.${key} has a prefix that belongs to the platform: give it another name.`,
    )
  const size = environmentSize(environment)
  if (size > ENVIRONMENT_MAX)
    faults.push(
      `The environment of functions.${key} has ${size} bytes, the platform takes ${ENVIRONMENT_MAX}: ` +
        'keep long values in Secrets Manager (ssm:NAME).',
    )
  return faults
}

/** notify lets nobody in: it believes only what is signed, and asks again itself. */
function isOpenDoor({ key, routes, configuration }: WantedFunction): boolean {
  const { CALLERS, SESSION_KEYS, MERCHANT_KEYS } = configuration.environment
  const configured = CALLERS === undefined ? (SESSION_KEYS ?? MERCHANT_KEYS) : CALLERS !== 'open'
  return routes.length > 0 && key !== NOTIFY && !configured
}

export const environmentSize = (environment: Readonly<Record<string, string>>): number =>
  Object.entries(environment).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  )

export type Sized = { name: string; size: number }

/** `inside`: what the bundle was made of, when that is known. */
export function refuseZip({ key, handler }: WantedFunction, zip: Buffer, inside?: readonly Sized[]): void {
  const entries = listZip(zip)
  const astray = entries.find(({ name }) => !/^[\w-]+(\.[\w-]+)*$/.test(name))
  if (astray)
    throw new DeployFault(
      `${key}.zip holds ${astray.name}, which is outside its root: build it with sls package.`,
      'ZIP_ENTRY_OUTSIDE',
    )
  const main = `${handler.slice(0, handler.lastIndexOf('.'))}.js`
  if (!entries.some(({ name }) => name === main))
    throw new DeployFault(`${key}.zip holds no ${main}: build it with sls package.`, 'ZIP_WITHOUT_HANDLER')
  if (zip.length > ZIP_MAX) {
    const largest = [...(inside && inside.length > 0 ? inside : entries)]
      .sort((a, b) => b.size - a.size)
      .slice(0, 5)
      .map(({ name, size }) => `${name} (${kilobytes(size)})`)
    throw new DeployFault(
      `${key}.zip has ${kilobytes(zip.length)}, a request carries ${kilobytes(ZIP_MAX)}. Largest: ${largest.join(', ')}. ` +
        'Leave out what is not needed, or carry one database driver only (provider.drivers).',
      'ZIP_TOO_LARGE',
    )
  }
}

const kilobytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} KB`
