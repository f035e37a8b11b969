import { settings } from './config'
import { createCashier, type Cashier } from './pay/cashier'
import { sandboxPhone } from './pay/sandbox'

export type OurApp = { cashier: Cashier }

App<OurApp>({
  cashier: createCashier(
    settings.sandbox ? sandboxPhone(wx, settings.sandbox, settings.appId) : wx,
    settings,
  ),
})
