/** Every migration there is, in order, written out: one that is renamed or lost is noticed. */
export const MIGRATIONS = [
  '0001_orders',
  '0002_true_to_the_end',
  '0003_people',
  '0004_merchants',
  '0005_privacy',
  '0006_scenes',
  '0007_board',
  '0008_notes',
  '0009_refund_ends',
  '0010_watchers',
]
