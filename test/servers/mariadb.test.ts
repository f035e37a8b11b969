import { findMariadb, startMariadb } from '../support/servers'
import { describeServer } from './onServer'

describeServer({ name: 'MariaDB', dialect: 'mysql', found: findMariadb(), launch: startMariadb })
