import type { OurApp } from '../../app'
import type { OrderStatus } from '../../lib/cloud-pay'
import { sentenceOf, wordsOf, yuan } from '../../pay/words'

/** What became of the payment: asked of the functions until it is known, as long as somebody watches. */
Page({
  data: { number: '', ...wordsOf(undefined), amount: '', problem: '', looking: false },
  watching: false,

  onLoad(query: Record<string, string | undefined>) {
    this.setData({ number: query['number'] ?? '' })
  },

  onShow() {
    this.watching = true
    void this.look()
  },

  onHide() {
    this.watching = false
  },

  onUnload() {
    this.watching = false
  },

  async look() {
    if (this.data.looking || this.data.settled) return
    this.setData({ looking: true, problem: '' })
    const show = (order: OrderStatus | undefined) => {
      if (order) this.setData({ ...wordsOf(order.state), amount: yuan(order.total_fee) })
    }
    try {
      await getApp<OurApp>().cashier.watch(this.data.number, show, () => !this.watching)
    } catch (error) {
      this.setData({ problem: sentenceOf(error) })
    } finally {
      this.setData({ looking: false })
    }
  },
})
