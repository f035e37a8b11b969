import type { Settings } from './pay/cashier'

/**
 * Where the functions are and which mini-program this is. As it stands: what `npm start` brings up on this machine.
 * For your own: the address(es) of your functions, your AppID, and no `sandbox`.
 */
export const settings: Settings = {
  // Or an address for each function: { session, createOrder, status, closeOrder }.
  base: 'http://127.0.0.1:8700',
  appId: 'wxsandboxmini0001',
  // A login and a wallet that need neither an AppID nor money.
  sandbox: 'http://127.0.0.1:8701',
}
