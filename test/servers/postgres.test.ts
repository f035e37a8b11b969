import { findPostgres, startPostgres } from '../support/servers'
import { describeServer } from './onServer'

describeServer({
  name: 'PostgreSQL',
  dialect: 'postgres',
  found: findPostgres(),
  launch: startPostgres,
  launchOther: startPostgres,
})
