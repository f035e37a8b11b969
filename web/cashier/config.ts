import type { BaseUrls } from '../client/client'

/** An official account, or an app of Alipay's open platform, that payers log in through. */
export type LoginApp = {
  app_id: string
  /** Where the browser is sent for a code. Left out: WeChat's or Alipay's own page. */
  authorize_url?: string
}

/** What `npm run web` builds into the page. Nothing in it is secret: every visitor sees it. */
export type CashierConfig = {
  api: BaseUrls
  wechat?: LoginApp
  alipay?: LoginApp
  /** What to call the articles of the catalogue: a link must not be able to name them. */
  titles?: Record<string, string>
}
