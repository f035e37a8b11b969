import {
  holdsMoney,
  isSettled,
  REFUND_MEANING,
  REFUND_STATES,
  type RefundMeaning,
  type RefundState,
} from '../../../shared/order/refund'

/** Written out from the wallets' documents (product/569/37628), states 0 to 8. */
const WECHAT = ['unknown', 'processing', 'succeeded', 'failed', 'processing', 'needs_person', 'failed']
const ALIPAY = ['unknown', 'processing', 'succeeded', 'failed', 'processing', 'not_found']

const cells = [WECHAT, ALIPAY].flatMap((meanings, at) =>
  Array.from({ length: 9 }, (_, wallet) => ({
    platform: at + 1,
    wallet,
    means: meanings[wallet] ?? 'unknown',
  })),
)

test.each(cells)('wallet $platform says $wallet of a refund: $means', ({ platform, wallet, means }) => {
  expect(REFUND_MEANING[platform]?.[wallet] ?? 'unknown').toBe(means)
})

test.each([
  [0, 2],
  [3, 2],
  [1, -1],
  [1, 2.5],
  [1, NaN],
  [NaN, 2],
])('wallet %d with refund state %d means nothing', (platform, wallet) => {
  expect(REFUND_MEANING[platform]?.[wallet]).toBeUndefined()
})

test('no wallet has two names for success, and none takes an unknown state for one', () => {
  for (const meanings of Object.values(REFUND_MEANING)) {
    const good = Object.entries(meanings).filter(
      ([, means]: [string, RefundMeaning]) => means === 'succeeded',
    )
    expect(good).toEqual([['2', 'succeeded']])
  }
})

describe('a refund that is', () => {
  const of: Record<RefundState, { settled: boolean; holds: boolean }> = {
    requested: { settled: false, holds: true },
    accepted: { settled: false, holds: true },
    succeeded: { settled: true, holds: true },
    failed: { settled: true, holds: false },
    // The money left the merchant's order, whoever has to hand it over.
    needs_person: { settled: true, holds: true },
  }

  test.each(Object.entries(of) as [RefundState, { settled: boolean; holds: boolean }][])(
    '%s: %j',
    (state, { settled, holds }) => {
      expect(isSettled(state)).toBe(settled)
      expect(holdsMoney(state)).toBe(holds)
    },
  )

  test('is told of in every state', () => {
    expect(Object.keys(of).sort()).toEqual([...REFUND_STATES].sort())
  })
})
