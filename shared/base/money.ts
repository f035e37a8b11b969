import * as v from 'valibot'

/** The largest `total_fee`: Cloud Pay types it N32. */
export const FEN_MAX = 2_147_483_647

/** Money is integer fen (分), everywhere. There is no other unit and no float inside this project. */
export const Fen = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(FEN_MAX))
export type Fen = v.InferOutput<typeof Fen>
