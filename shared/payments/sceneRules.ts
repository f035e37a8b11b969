import type { FieldFault } from '../base/errors'
import { parseStrictJson } from '../base/json'
import { flaw, REQUIRED, said, type Said } from '../base/validate'
import { PAY_PLATFORM, TRADE_TYPE } from '../cloudpay/enums'
import type { OrderRequest } from './orderSchema'
import { SCENES, sceneOf } from './scenes'

/** What a body must, may and should not say, by its way of paying: read from the table of scenes. */

const WXPAY_KEY = 'pay_mch_key.wxpay_pay_mch_key_ext'
const ALIPAY_KEY = 'pay_mch_key.alipay_pay_mch_key_ext'
const WXPAY_CONTENT = 'pay_content.wxpay_pay_content_ext'

type Say = {
  required(field: string): void
  notAllowed(field: string, why: Said): void
  faults: FieldFault[]
}

function saying(): Say {
  const faults: FieldFault[] = []
  return {
    faults,
    required: (field) => void faults.push(flaw(field, 'required', REQUIRED)),
    notAllowed: (field, why) => void faults.push(flaw(field, 'not_allowed', why)),
  }
}

const given = (object: object | undefined): string[] =>
  Object.entries(object ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [name]))

const called = (tradeType: number) => `trade_type ${tradeType} (${sceneOf(tradeType).title})`
const foreignTo = (tradeType: number) =>
  said(`does not belong to ${called(tradeType)}`, `不属于 trade_type ${tradeType}`)
const belongingTo = (tradeType: number) =>
  said(`belongs to ${called(tradeType)}`, `只属于 trade_type ${tradeType}`)

export function sceneFaults(request: OrderRequest): FieldFault[] {
  const say = saying()
  keyFaults(request, say)
  contentFaults(request, say)
  clientFaults(request, say)
  return say.faults
}

function keyFaults({ pay_mch_key: key, pay_content: content, trade_type }: OrderRequest, say: Say): void {
  const tradeType = trade_type ?? TRADE_TYPE.officialAccount
  const { wechatOnly, wxpayKey, alipayKey } = sceneOf(tradeType)
  const wechat = key.pay_platform === PAY_PLATFORM.wechat
  const { wxpay_pay_mch_key_ext: wxpay, alipay_pay_mch_key_ext: alipay } = key
  const foreignToPlatform = wechat
    ? said('does not belong to pay_platform 1 (WeChat)', '不属于 pay_platform 1（微信）')
    : said('does not belong to pay_platform 2 (Alipay)', '不属于 pay_platform 2（支付宝）')

  if (wechatOnly && !wechat)
    say.notAllowed(
      'trade_type',
      said('is for pay_platform 1 (WeChat) alone', '只用于 pay_platform 1（微信）'),
    )
  if (wechat && alipay) say.notAllowed(ALIPAY_KEY, foreignToPlatform)
  if (!wechat && wxpay) say.notAllowed(WXPAY_KEY, foreignToPlatform)
  if (!wechat && content.wxpay_pay_content_ext) say.notAllowed(WXPAY_CONTENT, foreignToPlatform)
  if (!wechat && alipayKey && !alipay) say.required(ALIPAY_KEY)
  if (!wechat && !alipayKey && alipay) say.notAllowed(ALIPAY_KEY, foreignTo(tradeType))

  if (wxpayKey === undefined) {
    if (wechat && wxpay) say.notAllowed(WXPAY_KEY, foreignTo(tradeType))
    return
  }
  if (wechat && !wxpay) say.required(WXPAY_KEY)
  if (!wxpay) return
  const names = given(wxpay)
  for (const name of wxpayKey.required) if (!names.includes(name)) say.required(`${WXPAY_KEY}.${name}`)
  for (const name of names.filter((one) => !wxpayKey.allowed.includes(one))) {
    const home = Object.entries(SCENES).find(([, scene]) => scene.wxpayKey?.required.includes(name))?.[0]
    const why =
      home === undefined || Number(home) === tradeType ? foreignTo(tradeType) : belongingTo(Number(home))
    say.notAllowed(`${WXPAY_KEY}.${name}`, why)
  }
  const [first, last] = [wxpayKey.oneOf[0], wxpayKey.oneOf.at(-1)]
  const chosen = wxpayKey.oneOf.filter((name) => names.includes(name))
  if (last !== undefined && chosen.length === 0) say.required(`${WXPAY_KEY}.${last}`)
  if (chosen.length > 1)
    say.notAllowed(
      `${WXPAY_KEY}.${first}`,
      said(`send ${wxpayKey.oneOf.join(' or ')}, not both`, `${wxpayKey.oneOf.join(' 与 ')} 只能发送一个`),
    )
}

function contentFaults({ pay_mch_key: key, pay_content: content, trade_type }: OrderRequest, say: Say): void {
  const tradeType = trade_type ?? TRADE_TYPE.officialAccount
  const { wxpayContent, expires } = sceneOf(tradeType)
  const { wxpay_pay_content_ext: ext, author_code, time_expire } = content
  if (!expires && time_expire !== undefined) say.notAllowed('pay_content.time_expire', foreignTo(tradeType))

  const code = 'pay_content.author_code'
  if (tradeType !== TRADE_TYPE.micro) {
    if (author_code !== undefined) say.notAllowed(code, belongingTo(TRADE_TYPE.micro))
  } else if (author_code === undefined) say.required(code)
  else if (!AUTHOR_CODE[key.pay_platform].test(author_code))
    say.faults.push(
      flaw(
        code,
        'value',
        said('is not a payment code of this pay_platform', '不是这个 pay_platform 的付款码'),
      ),
    )

  for (const name of given(ext).filter((one) => !wxpayContent.allowed.includes(one)))
    say.notAllowed(`${WXPAY_CONTENT}.${name}`, foreignTo(tradeType))
  for (const name of wxpayContent.required)
    if (!given(ext).includes(name)) say.required(`${WXPAY_CONTENT}.${name}`)
  if (ext?.scene_info !== undefined && !isSceneInfo(ext.scene_info))
    say.faults.push(
      flaw(
        `${WXPAY_CONTENT}.scene_info`,
        'value',
        said('must be JSON text with h5_info.type', '须为含有 h5_info.type 的 JSON 文本'),
      ),
    )
}

/** Codes of WeChat begin with 10 to 15, Alipay's with 25 to 30 (product/569/37632); 16 to 24 digits. */
const AUTHOR_CODE = { 1: /^1[0-5]\d{14,22}$/, 2: /^(2[5-9]|30)\d{14,22}$/ } as const

/** WeChat's own format for H5: `{"h5_info": {"type": "Wap", "wap_url": "…", "wap_name": "…"}}`, or an app's. */
function isSceneInfo(text: string): boolean {
  const parsed = parseStrictJson(text)
  if (!parsed.ok || typeof parsed.value !== 'object' || parsed.value === null) return false
  const { h5_info } = parsed.value as { h5_info?: { type?: unknown } | null }
  return typeof h5_info === 'object' && h5_info !== null && typeof h5_info.type === 'string'
}

/** Ours, whatever the scene: compared with the configuration elsewhere. */
const OWNED: readonly string[] = ['sdk_version', 'spbill_create_ip']

function clientFaults({ order_client, trade_type }: OrderRequest, say: Say): void {
  const tradeType = trade_type ?? TRADE_TYPE.officialAccount
  const known: readonly string[] = [...sceneOf(tradeType).client, ...OWNED]
  for (const name of given(order_client).filter((one) => !known.includes(one)))
    say.notAllowed(`order_client.${name}`, foreignTo(tradeType))
}

// ── advice ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Not an error: the order is made, and the payer sees this text in their bill. */
export type Warning = { code: 'body_format'; field: string; message_zh: string; message_en: string }

/** What the documents advise and nobody enforces. */
export function warningsOf({ trade_type, pay_content: { body } }: OrderRequest): Warning[] {
  const { parts, zh, en } = sceneOf(trade_type).advice
  const filled = body.split('-').filter((part) => part.trim() !== '')
  if (filled.length >= parts) return []
  return [
    {
      code: 'body_format',
      field: 'pay_content.body',
      message_zh: `建议写成“${zh}”：付款人在账单里看到的就是它。`,
      message_en: `“${en}” is the advised form: it is what the payer reads in their bill.`,
    },
  ]
}
