import { ORDER_NUMBER_MAX } from '../base/config'
import { randomText, type Random } from '../base/random'
import { atMost, said, type Said } from '../base/validate'

/** Eight characters of base 36 hold milliseconds until the year 2059. */
const TIME_LENGTH = 8
const CHANCE_LENGTH = 12

/**
 * A fresh order number: prefix, time, chance. Later numbers sort after earlier ones, also after a restart, as
 * Cloud Pay asks for; digits and lower-case letters only; at most 32 characters.
 */
export function makeOrderNumber(prefix: string, nowMs: number, random: Random): string {
  const time = Math.floor(nowMs).toString(36).padStart(TIME_LENGTH, '0').slice(-TIME_LENGTH)
  const room = ORDER_NUMBER_MAX - prefix.length - TIME_LENGTH
  return prefix + time + randomText(random, Math.min(CHANCE_LENGTH, room))
}

/** When a number that this code made was made, in epoch milliseconds; nothing of a number that has no such part. */
export function madeAtMs(prefix: string, number: string): number | undefined {
  const time = number.slice(prefix.length, prefix.length + TIME_LENGTH)
  if (!number.startsWith(prefix) || !/^[0-9a-z]{8}$/.test(time)) return undefined
  return Number.parseInt(time, 36)
}

/** What is wrong with an order number a caller chose, or nothing. */
export function orderNumberFault(prefix: string, number: string): Said | undefined {
  if (!number.startsWith(prefix))
    return said("must start with the sub-merchant's order prefix", '须以子商户的订单前缀开头')
  if (number.length === prefix.length)
    return said('must have characters of its own after the order prefix', '订单前缀之后还须有自己的字符')
  if (number.length > ORDER_NUMBER_MAX) return atMost(ORDER_NUMBER_MAX)
  if (!/^[0-9A-Za-z]+$/.test(number)) return said('must be letters and digits only', '只能含字母和数字')
  return undefined
}
