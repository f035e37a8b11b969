import { openCashier } from './cashier'
import type { CashierConfig } from './config'

const config = JSON.parse(document.getElementById('config')!.textContent) as CashierConfig
void openCashier(window, config).start()
