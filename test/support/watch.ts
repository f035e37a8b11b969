import type * as App from '../../shared/app'
import type * as SessionModule from '../../shared/access/session'
import type * as Errors from '../../shared/base/errors'
import type * as Log from '../../shared/base/log'
import type { Secret } from '../../shared/base/secrets'
import type * as CommandModule from '../../shared/http/command'
import type * as DoorModule from '../../shared/http/door'
import type * as TimerModule from '../../shared/http/timer'
import type * as AskModule from '../../shared/net/ask'
import type * as PostModule from '../../shared/net/post'
import type * as RequestModule from '../../shared/payments/orderRequest'
import type * as QuoteModule from '../../shared/payments/quote'
import type * as OrdersModule from '../../shared/store/orders'
import type * as LoginsModule from '../../local/sandbox/logins'
import type * as Leaks from './leaks'

/**
 * Loaded into every suite: the real modules, with somebody looking over their shoulder. Nothing is changed in what they
 * do. See leaks.ts for what is looked for.
 */
const mockLeaks = () => jest.requireActual<typeof Leaks>('./leaks')

// ── what must not be seen ──────────────────────────────────────────────────────────────────────────────────────

const { Secret: Hidden } = jest.requireActual<{ Secret: { prototype: Secret } }>('../../shared/base/secrets')
const reveal = Hidden.prototype.reveal
/** What is never revealed cannot be shown. */
Hidden.prototype.reveal = function (this: Secret) {
  const text = reveal.call(this)
  mockLeaks().hide('secret', text)
  return text
}

jest.mock('../../shared/payments/orderRequest', () => {
  const real = jest.requireActual<typeof RequestModule>('../../shared/payments/orderRequest')
  const payerOf: typeof real.payerOf = (...given) => {
    const payer = real.payerOf(...given)
    mockLeaks().hide('payer', payer.payer_id)
    return payer
  }
  return { ...real, payerOf }
})

jest.mock('../../shared/store/orders', () => {
  const real = jest.requireActual<typeof OrdersModule>('../../shared/store/orders')
  const insertOrder: typeof real.insertOrder = (store, order, ...rest) => {
    mockLeaks().hide('payer', order.payer_id)
    return real.insertOrder(store, order, ...rest)
  }
  return { ...real, insertOrder }
})

jest.mock('../../shared/access/session', () => {
  const real = jest.requireActual<typeof SessionModule>('../../shared/access/session')
  const { hide } = mockLeaks()
  const openSessions: typeof real.openSessions = (...given) => {
    const sessions = real.openSessions(...given)
    return {
      issue: (app, payer_id, ...rest) => {
        hide('payer', payer_id)
        const issued = sessions.issue(app, payer_id, ...rest)
        hide('token', issued.token)
        return issued
      },
      open: (token, secret, now) => {
        const session = sessions.open(token, secret, now)
        if (typeof session === 'object') hide('payer', session.payer_id)
        if (typeof session === 'object') hide('client secret', secret)
        return session
      },
    }
  }
  const hashSecret: typeof real.hashSecret = (secret) => {
    hide('client secret', secret)
    return real.hashSecret(secret)
  }
  return { ...real, openSessions, hashSecret }
})

jest.mock('../../shared/payments/quote', () => {
  const real = jest.requireActual<typeof QuoteModule>('../../shared/payments/quote')
  const readQuote: typeof real.readQuote = (payments, token) => {
    mockLeaks().hide('quote', token)
    return real.readQuote(payments, token)
  }
  return { ...real, readQuote }
})

jest.mock('../../local/sandbox/logins', () => {
  const real = jest.requireActual<typeof LoginsModule>('../../local/sandbox/logins')
  const { hide } = mockLeaks()
  const createLogins: typeof real.createLogins = (around) => {
    const logins = real.createLogins(around)
    return {
      ...logins,
      codeFor: (app_id, payer_id) => {
        const code = logins.codeFor(app_id, payer_id)
        hide('code', code)
        return code
      },
      handle: (request) => {
        const reply = logins.handle(request)
        for (const handed of logins.handedOver.slice(-2)) hide('session key', handed)
        return reply
      },
    }
  }
  return { ...real, createLogins }
})

// ── where it could be seen ─────────────────────────────────────────────────────────────────────────────────────

jest.mock('../../shared/base/log', () => {
  const real = jest.requireActual<typeof Log>('../../shared/base/log')
  const createLog: typeof real.createLog = (write, secrets) =>
    real.createLog((line) => {
      mockLeaks().look('log', line)
      write(line)
    }, secrets)
  return { ...real, createLog }
})

/** Of a class: each one that is made is looked at. */
const mockWatched = <T extends new (...given: never[]) => object>(wanted: T): T => {
  const watched: T = new Proxy(wanted, {
    construct(target, given, made) {
      const error = Reflect.construct(target, given, made === watched ? target : made) as object
      mockLeaks().lookAtError(error)
      return error
    },
  })
  return watched
}

jest.mock('../../shared/base/errors', () => {
  const real = jest.requireActual<typeof Errors>('../../shared/base/errors')
  return { ...real, Fault: mockWatched(real.Fault) }
})

/** What a handler gives back to the platform, which writes it to its log; and so it does with what is thrown. */
async function mockVisit<Given>(
  context: (answer: Given) => string,
  visit: () => Promise<Given>,
): Promise<Given> {
  const { look, lookAtError } = mockLeaks()
  try {
    const answer = await visit()
    look('return value', JSON.stringify(answer) ?? '', context(answer))
    return answer
  } catch (error) {
    lookAtError(error)
    throw error
  }
}
const mockNameOf = (event: unknown): string => {
  const { httpMethod, path } = (event ?? {}) as { httpMethod?: string; path?: string }
  return `${httpMethod} ${path}`
}

jest.mock('../../shared/http/door', () => {
  const real = jest.requireActual<typeof DoorModule>('../../shared/http/door')
  const door: typeof real.door = (...given) => {
    const handle = real.door(...given)
    return (event, context) =>
      mockVisit(
        ({ statusCode }) => `${mockNameOf(event)} ${statusCode}`,
        () => handle(event, context),
      )
  }
  return { ...real, door }
})

jest.mock('../../shared/http/timer', () => {
  const real = jest.requireActual<typeof TimerModule>('../../shared/http/timer')
  const timerDoor: typeof real.timerDoor = (...given) => {
    const handle = real.timerDoor(...given)
    return (event, context) =>
      mockVisit(
        () => 'timer',
        () => handle(event, context),
      )
  }
  return { ...real, timerDoor }
})

jest.mock('../../shared/http/command', () => {
  const real = jest.requireActual<typeof CommandModule>('../../shared/http/command')
  const command: typeof real.command = (...given) => {
    const handle = real.command(...given)
    return (event, context) =>
      mockVisit(
        () => 'command',
        () => handle(event, context),
      )
  }
  return { ...real, command }
})

const mockLookAtUrl = (url: string) => mockLeaks().look('URL', url, url)

jest.mock('../../shared/app', () => {
  const real = jest.requireActual<typeof App>('../../shared/app')
  const createApp: typeof real.createApp = (config, overrides = {}) => {
    const { post, ask, send } = overrides
    const watched: typeof overrides = { ...overrides }
    if (post) watched.post = (url, ...rest) => (mockLookAtUrl(url), post(url, ...rest))
    if (send) watched.send = (url, ...rest) => (mockLookAtUrl(url), send(url, ...rest))
    if (ask) watched.ask = (question) => (mockLookAtUrl(question.url), ask(question))
    return real.createApp(config, watched)
  }
  return { ...real, createApp }
})

jest.mock('../../shared/net/post', () => {
  const real = jest.requireActual<typeof PostModule>('../../shared/net/post')
  const createPost: typeof real.createPost = (settings) => {
    const post = real.createPost(settings)
    return (url, ...rest) => (mockLookAtUrl(url), post(url, ...rest))
  }
  return { ...real, createPost }
})

jest.mock('../../shared/net/ask', () => {
  const real = jest.requireActual<typeof AskModule>('../../shared/net/ask')
  const createAsk: typeof real.createAsk = (settings) => {
    const ask = real.createAsk(settings)
    return (question) => (mockLookAtUrl(question.url), ask(question))
  }
  return { ...real, createAsk }
})

afterEach(() => mockLeaks().noLeaks())
afterAll(() => mockLeaks().noLeaks())
