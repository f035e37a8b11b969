import * as v from 'valibot'
import { said } from './validate'

/** The largest `total_fee`: Cloud Pay types it N32. */
export const FEN_MAX = 2_147_483_647

const WHOLE_FEN = said(
  'must be integer fen (分), a number without quotes: 18.80 yuan is 1880',
  '须为整数，单位为分，不带引号：18.80 元写作 1880',
)

/** Money is integer fen (分), everywhere. There is no other unit and no float inside this project. */
export const Fen = v.pipe(v.number(WHOLE_FEN), v.safeInteger(WHOLE_FEN), v.minValue(1), v.maxValue(FEN_MAX))
export type Fen = v.InferOutput<typeof Fen>
