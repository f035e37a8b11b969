import { yuan } from '../money'
import { drawCode, readBill, walletOf } from './code'

/** Fills the page. `nowMs`: the clock that the time left goes by. */
export function showScan({ document, location }: Window, nowMs: () => number): void {
  const at = (id: string) => document.getElementById(id)!
  const say = (id: string, text: string) => {
    at(id).textContent = text
    at(id).hidden = false
  }
  const bill = readBill(location.hash)
  if (!bill) {
    say('how', '没有可以扫的二维码')
    at('code').hidden = true
    return say('note', '请回到商户页面重新下单。')
  }
  const { size, path } = drawCode(bill.code_url)
  const make = (name: string, attributes: Record<string, string>) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name)
    for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value)
    return node
  }
  const svg = make('svg', { viewBox: `0 0 ${size} ${size}`, 'shape-rendering': 'crispEdges' })
  svg.append(make('path', { d: path, fill: '#000' }))
  at('code').replaceChildren(svg)
  say('how', `请用${walletOf(bill.code_url)}扫一扫付款`)
  if (bill.body) say('what', bill.body)
  if (bill.total_fee) {
    at('amount').textContent = yuan(bill.total_fee)
    at('amount-row').hidden = false
  }
  const { time_expire } = bill
  if (time_expire === undefined) return
  const tick = () => {
    const leftS = Math.ceil(time_expire - nowMs() / 1000)
    if (leftS > 0) {
      say('left', `剩余 ${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, '0')}`)
      return void setTimeout(tick, 1000)
    }
    document.body.className = 'over'
    at('left').hidden = true
    say('how', '二维码已过期')
    // Who has scanned in time may be paying now.
    say('note', '已经扫码的请继续完成；没有扫码的请回到商户页面重新下单。')
  }
  tick()
}
