import { lookForPlant, typeFaults } from './planted'
import { PLANTS } from './plants'

/** `npm run planted-faults [-- NAME …]`: plants each fault and says after how many runs it was noticed. */
async function main(): Promise<void> {
  const wanted = process.argv.slice(2)
  const plants = PLANTS.filter(
    ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
  )
  const faults = typeFaults(plants)
  if (faults.length > 0) {
    console.log(faults.join('\n'))
    process.exitCode = 1
    return
  }
  let missed = 0
  for (const plant of plants) {
    const { runs, seed, violations } = await lookForPlant(plant)
    const noticed = seed !== undefined
    if (!noticed) missed++
    console.log(`${noticed ? 'noticed' : 'MISSED '} ${String(runs).padStart(5)} runs  ${plant.name}`)
    console.log(
      `                       ${noticed ? `seed ${seed}: ${violations[0]?.slice(0, 140)}` : plant.why}`,
    )
  }
  console.log(`${plants.length - missed} of ${plants.length} planted faults were noticed`)
  if (missed > 0) process.exitCode = 1
}

void main()
