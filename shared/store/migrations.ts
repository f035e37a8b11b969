import { sql, type Kysely, type Migration } from 'kysely'
import type { Dialect } from '../base/databaseUrl'
import { LONG_TEXT, TABLE_OPTIONS } from './dialect'

/**
 * Every change of the schema, in order, as a plain list: nothing is searched for on a disk that a function has not.
 * A landed migration is never edited. Changes only add, so that the version before keeps working on the new tables.
 */
export const migrations = (dialect: Dialect): Record<string, Migration> => ({
  '0001_orders': {
    async up(db: Kysely<unknown>) {
      const longText = sql.raw(LONG_TEXT[dialect])
      const options = sql.raw(TABLE_OPTIONS[dialect])
      await sql`
        CREATE TABLE orders (
          out_sub_mch_id varchar(32) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          out_mch_id varchar(32) NOT NULL,
          out_shop_id varchar(32) NOT NULL,
          pay_platform integer NOT NULL,
          trade_type integer NOT NULL,
          total_fee integer NOT NULL,
          fee_type varchar(3) NOT NULL,
          payer_field varchar(32) NOT NULL,
          payer_id varchar(128) NOT NULL,
          caller varchar(64) NOT NULL,
          idempotency_key varchar(255),
          content_hash varchar(64) NOT NULL,
          request_content ${longText} NOT NULL,
          state varchar(16) NOT NULL,
          version integer NOT NULL,
          flag varchar(32),
          created_at bigint NOT NULL,
          updated_at bigint NOT NULL,
          time_expire bigint NOT NULL,
          sends integer NOT NULL,
          lease_token integer NOT NULL,
          lease_holder varchar(32) NOT NULL,
          lease_until_ms bigint NOT NULL,
          looked_at_ms bigint NOT NULL,
          jsapi_args ${longText},
          transaction_id varchar(64),
          paid_at bigint,
          cash_fee bigint,
          settlement_total_fee bigint,
          wallet_state integer,
          PRIMARY KEY (out_sub_mch_id, out_trade_no),
          CONSTRAINT orders_idempotency_key UNIQUE (out_sub_mch_id, caller, idempotency_key),
          CONSTRAINT orders_total_fee_positive CHECK (total_fee > 0)
        ) ${options}`.execute(db)
      await sql`
        CREATE TABLE order_events (
          out_sub_mch_id varchar(32) NOT NULL,
          out_trade_no varchar(32) NOT NULL,
          seq integer NOT NULL,
          at bigint NOT NULL,
          kind varchar(16) NOT NULL,
          from_state varchar(16),
          to_state varchar(16) NOT NULL,
          detail ${longText} NOT NULL,
          PRIMARY KEY (out_sub_mch_id, out_trade_no, seq)
        ) ${options}`.execute(db)
    },
  },
})
