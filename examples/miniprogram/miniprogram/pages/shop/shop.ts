import type { OurApp } from '../../app'
import type { Payment } from '../../pay/phone'
import { sentenceOf } from '../../pay/words'

/** One article and one button. The price shown is the page's; the one paid is the catalogue's. */
Page({
  data: { busy: false, problem: '' },

  async buy() {
    if (this.data.busy) return
    this.setData({ busy: true, problem: '' })
    const { cashier } = getApp<OurApp>()
    try {
      const order = await cashier.order({ sku: 'tea', quantity: 1 })
      const url = `/pages/order/order?number=${order.out_trade_no}`
      // Cancelling is no error: the order stays, and the same button goes on with it.
      if (order.payment && (await cashier.pay(order.payment as Payment)) === 'cancelled') return
      await wx.navigateTo({ url })
    } catch (error) {
      this.setData({ problem: sentenceOf(error) })
    } finally {
      this.setData({ busy: false })
    }
  },
})
