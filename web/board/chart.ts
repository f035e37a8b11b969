import type { BoardDay } from '../../shared/order/board'
import { yuan } from '../money'

const HEIGHT = 142
const [TOP, BOTTOM] = [18, 20]

/** Bars by the hour, as wide as there is room; of attributes alone: the page's policy knows no inline styles. */
export function drawChart(host: HTMLElement, { hours }: BoardDay): void {
  const width = Math.max(host.clientWidth, 280)
  const step = width / 24
  const most = Math.max(...hours.map(({ paid, refunded }) => Math.max(paid.fen, refunded.fen)), 0)
  const svg = shape('svg', { width, height: HEIGHT, role: 'img' })
  svg.setAttribute('aria-label', sayAll(hours))
  const floor = HEIGHT - BOTTOM
  svg.append(shape('line', { class: 'floor', x1: 0, x2: width, y1: floor, y2: floor }))
  if (most > 0) {
    svg.append(shape('line', { class: 'top', x1: 0, x2: width, y1: TOP, y2: TOP }))
    svg.append(shape('text', { x: 0, y: TOP - 4 }, `¥${yuan(most)}`))
  }
  for (const { hour, paid, refunded } of hours) {
    const group = shape('g', {})
    const title = `${hour}–${hour + 1} 时：支付 ${paid.count} 笔 ¥${yuan(paid.fen)}，退款 ${refunded.count} 笔 ¥${yuan(refunded.fen)}`
    group.append(
      shape('title', {}, title),
      shape('rect', { class: 'hour', x: hour * step, y: TOP, width: step, height: floor - TOP }),
    )
    const bar = (name: string, fen: number, x: number, wide: number) => {
      if (fen === 0) return
      const height = Math.max(2, (fen / most) * (floor - TOP))
      group.append(shape('rect', { class: name, x, y: floor - height, width: wide, height, rx: 2 }))
    }
    bar('paid', paid.fen, (hour + 0.14) * step, (refunded.fen > 0 ? 0.4 : 0.72) * step)
    bar('refunded', refunded.fen, (hour + 0.56) * step, 0.3 * step)
    svg.append(group)
    if (hour % 6 === 0 || hour === 23)
      svg.append(
        shape('text', { x: hour * step + step / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }, String(hour)),
      )
  }
  host.replaceChildren(svg)
}

function sayAll(hours: BoardDay['hours']): string {
  const busy = hours.filter(({ paid, refunded }) => paid.count + refunded.count > 0)
  if (busy.length === 0) return '每小时：没有支付和退款'
  const each = busy.map(
    ({ hour, paid, refunded }) =>
      `${hour} 时支付 ${yuan(paid.fen)} 元${refunded.fen > 0 ? `，退款 ${yuan(refunded.fen)} 元` : ''}`,
  )
  return `每小时：${each.join('；')}`
}

function shape(tag: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  if (text !== undefined) element.textContent = text
  return element
}
