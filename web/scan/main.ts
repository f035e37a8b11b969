import { showScan } from './scan'

showScan(window, () => Date.now())
// Another order in the same tab.
window.addEventListener('hashchange', () => window.location.reload())
