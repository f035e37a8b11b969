import { isDoubled, isLost, rateOf } from './planted'
import { LOCAL_CLOSE, READ_THEN_WRITE } from './naive'

/** `npm run naive-variants [-- RUNS]`: how often the usual ways lose or double a payment in the same runs. */
async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 2000)
  console.log(
    `${LOCAL_CLOSE.name}: ${await rateOf(LOCAL_CLOSE, runs, isLost)} of ${runs} runs lose a payment`,
  )
  console.log(
    `${READ_THEN_WRITE.name}: ${await rateOf(READ_THEN_WRITE, runs, isDoubled)} of ${runs} runs double one`,
  )
}

void main()
