import { findMariadb, startMariadb } from '../support/servers'
import { describeServer } from './onServer'

describeServer({
  name: 'MariaDB',
  dialect: 'mysql',
  found: findMariadb(),
  launch: () => startMariadb(),
  launchOther: () => startMariadb(['--skip-character-set-client-handshake', '--character-set-server=latin1']),
})
