import { DOORS } from '../../shared/access/doors'
import { FAULTS } from '../../shared/base/errors'
import { NUMBERS, type NumberName } from '../../shared/base/numbers'
import { ANOMALY_KINDS } from '../../shared/order/anomaly'
import { REFUND_STATES } from '../../shared/order/refund'
import { ORDER_STATES } from '../../shared/order/state'
import { REFERRING_VARIABLES } from '../../shared/tencent/names'
import { FAULT_CODES, FAULT_HELP, RETRIES, type Text } from '../openapi/faults'
import { CALL_MS, readYml, worstHour, YUAN_PER_10_000_CALLS, YUAN_PER_GBS } from './cost'
import { ANOMALY_CURE, ORDER_FLAG_MEANS, ORDER_STATE_MEANS, REFUND_STATE_MEANS } from './meanings'
import { GROUPS, type Variable } from './variables'

export type Language = 'en' | 'zh'
type Row = readonly string[]

/** Not padded: one changed cell is one changed line. */
const table = (head: Row, rows: readonly Row[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const code = (word: string): string => `\`${word}\``
const grouped = (value: number): string =>
  Math.round(value)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, ' ')

function configuration(language: Language): string {
  const words = {
    en: { head: ['variable', 'needed', 'left out', '`ssm:`', 'what it is'], yes: 'yes' },
    zh: { head: ['变量', '何时必填', '不填时', '`ssm:`', '说明'], yes: '可以' },
  }[language]
  const leftOut = (name: string, { fallback }: Variable): string => {
    if (name in NUMBERS) {
      const { fallback: number, min, max } = NUMBERS[name as NumberName]
      return `${grouped(number)} (${grouped(min)}–${grouped(max)})`
    }
    return typeof fallback === 'object' ? fallback[language] : (fallback ?? '')
  }
  const mayRefer = (name: string) =>
    (REFERRING_VARIABLES as readonly string[]).includes(name) ? words.yes : ''
  return GROUPS.map(({ title, variables }) => {
    const rows = Object.entries(variables).map(([name, variable]) => [
      code(name),
      variable.needed?.[language] ?? '',
      leftOut(name, variable),
      mayRefer(name),
      variable.about[language],
    ])
    return `## ${title[language]}\n\n${table(words.head, rows)}`
  }).join('\n\n')
}

function errors(language: Language): string {
  const head = {
    en: ['code', 'cause', 'what to do', 'retry'],
    zh: ['错误码', '原因', '怎么办', '能否重试'],
  }[language]
  const statuses = [...new Set(FAULT_CODES.map((one) => FAULTS[one].status))].sort((a, b) => a - b)
  return statuses
    .map((status) => {
      const rows = FAULT_CODES.filter((one) => FAULTS[one].status === status).map((one) => {
        const { cause, cure, retry } = FAULT_HELP[one]
        return [code(one), cause[language], cure[language], RETRIES[retry][language]]
      })
      return `## ${status}\n\n${table(head, rows)}`
    })
    .join('\n\n')
}

function doors(language: Language): string {
  const words = {
    en: { head: ['door', 'payer', 'merchant’s scope'], own: 'own', no: 'no', anyone: 'anyone' },
    zh: { head: ['入口', '付款人', '商户密钥的 scope'], own: '自己的', no: '不可', anyone: '任何人' },
  }[language]
  const rows = Object.entries(DOORS).map(([name, door]) =>
    door === 'anyone'
      ? [code(name), words.anyone, words.anyone]
      : [code(name), door.payer ? words.own : words.no, code(door.merchant)],
  )
  return table(words.head, rows)
}

const meanings =
  (first: Text, second: Text) =>
  (names: readonly string[], means: Record<string, Text>) =>
  (language: Language) =>
    table(
      [first[language], second[language]],
      names.map((name) => [code(name), means[name]![language]]),
    )
const stateTable = meanings({ en: 'state', zh: '状态' }, { en: 'meaning', zh: '含义' })
const flagTable = meanings({ en: 'flag', zh: '标记' }, { en: 'meaning', zh: '含义' })
const anomalyTable = meanings(
  { en: 'kind', zh: '种类' },
  { en: 'what it is, and what to do', zh: '是什么，怎么办' },
)

function cost(language: Language, root: string): string {
  const { instances, gb, gbs, reachable, calls, computingYuan, callsYuan } = worstHour(readYml(root))
  const yuan = (value: number) => `¥${value.toFixed(2)}`
  const both = yuan(computingYuan + callsYuan)
  return language === 'en'
    ? table(
        ['of the hour', 'price', 'comes to'],
        [
          [
            `computing: ${instances} instances × ${gb} GB × 3600 s = ${grouped(gbs)} GBs`,
            `${YUAN_PER_GBS} yuan per GBs`,
            yuan(computingYuan),
          ],
          [
            `calls: ${reachable} instances with an address, ${CALL_MS} ms each (assumed): ${grouped(calls)}`,
            `${YUAN_PER_10_000_CALLS} yuan per 10 000`,
            yuan(callsYuan),
          ],
          ['together', '', `**${both}**`],
        ],
      )
    : table(
        ['一小时', '单价', '合计'],
        [
          [
            `计算：${instances} 个实例 × ${gb} GB × 3600 秒 = ${grouped(gbs)} GBs`,
            `每 GBs ${YUAN_PER_GBS} 元`,
            yuan(computingYuan),
          ],
          [
            `调用：有地址的 ${reachable} 个实例，每次 ${CALL_MS} 毫秒（假定）：${grouped(calls)} 次`,
            `每万次 ${YUAN_PER_10_000_CALLS} 元`,
            yuan(callsYuan),
          ],
          ['共计', '', `**${both}**`],
        ],
      )
}

/** Every table that the documents take from the code, by the name that stands in them. */
export const TABLES: Record<string, (language: Language, root: string) => string> = {
  configuration,
  errors,
  doors,
  'order states': stateTable(ORDER_STATES, ORDER_STATE_MEANS),
  'order flags': flagTable(Object.keys(ORDER_FLAG_MEANS), ORDER_FLAG_MEANS),
  'refund states': stateTable(REFUND_STATES, REFUND_STATE_MEANS),
  anomalies: anomalyTable(ANOMALY_KINDS, ANOMALY_CURE),
  cost,
}
